"""What a call of the gRPC face says beside its message, and how it ends."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from grpc import aio

from gateway.cache import cache_headers
from gateway.gate import Gate, usable_id
from gateway.grpc_guard import credential_of, names_of, one_value
from gateway.ratelimit_headers import ratelimit_headers
from gateway.server_timing import server_timing
from protos.errors import PenstockError
from protos.incident import incident
from protos.principal import Principal
from protos.timeline import Timeline
from protos.trace_context import accepted, accepted_state
from protos.values import Headers

Context = aio.ServicerContext[Any, Any]
T = TypeVar("T")


def caller_of(gate: Gate, context: Context) -> Principal:
    """Who calls. Raises UNAUTHENTICATED, and tells the audit log of a certificate that fails."""
    authenticate = gate.authenticate
    credential = credential_of(context.invocation_metadata())
    if credential or not authenticate.knows_certificates:
        return authenticate(credential)
    try:
        return authenticate(credential, names_of(context))
    except PenstockError as error:
        gate.audit.stranger("grpc", context.peer(), error)
        raise


def headers_of(context: Context) -> Headers:
    """The call's metadata in the form of HTTP's headers; binary values are nobody's to match."""
    return [
        (name.encode(), value.encode())
        for name, value in context.invocation_metadata() or ()
        if isinstance(value, str)
    ]


def metadata_of(context: Context, key: str) -> str:
    return one_value(context.invocation_metadata(), key)


def begin(context: Context, operation: str) -> Timeline:
    """A call's timeline, with the trace that its caller is in."""
    timeline = Timeline(time.monotonic())
    timeline.operation = f"inference.GRPCInferenceService/{operation}"
    timeline.parent = accepted(metadata_of(context, "traceparent"))
    if timeline.parent and (state := metadata_of(context, "tracestate")):
        timeline.tracestate = accepted_state([state])
    return timeline


def request_id_of(context: Context) -> str:
    """The caller's id of the call, as HTTP's header of that name has it."""
    return usable_id(metadata_of(context, "x-request-id").encode())


async def rescued(context: Context, answer: Callable[[], Awaitable[T]]) -> T:
    try:
        return await answer()
    except Exception as error:
        await abort(context, error)


Trailers = tuple[tuple[str, str], ...]


def trailers_of(timeline: Timeline) -> Trailers:
    trailers = cache_headers(timeline)
    if timeline.quota is not None:
        trailers += ratelimit_headers(timeline.quota)
    if timeline.arm_shown:
        trailers.append(("x-penstock-arm", f"{timeline.route}/{timeline.arm}"))
    trailers.append(("server-timing", server_timing(timeline)))
    return tuple(trailers)


async def abort(context: Context, error: Exception, trailers: Trailers = ()) -> NoReturn:
    """Ends the call with the table's status; whatever isn't ours becomes an opaque incident."""
    if not isinstance(error, PenstockError):
        error = incident(error, "a request failed")
    if error.retry_after is not None:
        # gRPC's own name for it (A6, client retries): milliseconds.
        trailers = (
            *trailers,
            ("grpc-retry-pushback-ms", str(round(error.retry_after * 1000))),
        )
    await context.abort(error.row.grpc, error.message, trailers)
    raise AssertionError("abort raises")
