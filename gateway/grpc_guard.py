"""Refuses strangers by their metadata, before a message of theirs is read."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from grpc import aio

from protos.errors import PenstockError

# What is open: health, as probes ask for it, and nothing else.
OPEN = frozenset(
    (
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    )
)

# In quotes: gRPC's classes are generic for the type checker alone.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class Guard(aio.ServerInterceptor):
    """`authenticate` takes the value of the authorization metadata; its result is not kept.

    The handlers ask again, which the authenticator's memory makes cheap, so none of them depends on
    being guarded.
    """

    def __init__(self, authenticate: Callable[[str], object]) -> None:
        self._authenticate = authenticate

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method in OPEN:
            return handler
        try:
            self._authenticate(one_value(handler_call_details.invocation_metadata, "authorization"))
        except PenstockError as error:
            return _refusing(handler, error)
        return handler


def one_value(metadata: Any, key: str) -> str:
    """The one value of a metadata key; "" for none and for several, of which none is trusted."""
    found = [value for name, value in metadata or () if name == key and isinstance(value, str)]
    return found[0] if len(found) == 1 else ""


def _refusing(handler: Handler, error: PenstockError) -> Handler:
    """A handler of the same form that reads nothing."""

    async def refuse(request: Any, context: aio.ServicerContext[Any, Any]) -> None:
        await context.abort(error.row.grpc, error.message)

    if handler.request_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse)
    return grpc.unary_unary_rpc_method_handler(refuse)
