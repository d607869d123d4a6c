"""Refuses strangers by their metadata, before a message of theirs is read."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from grpc import aio

from gateway.grpc_message import Handler
from gateway.grpc_open import OPEN
from policies.authenticate import Authenticate, authorization
from protos.errors import PenstockError

# Properties of gRPC's authentication context, and what the names in them are called elsewhere.
_KINDS = {"peer_uri": "URI", "peer_dns": "DNS", "peer_email": "email"}

# (face, the client's address, the refusal)
Stranger: TypeAlias = Callable[[str, str, PenstockError], None]
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class Guard(aio.ServerInterceptor):
    """Waits for keys that are being fetched; what it learns of the caller is not kept.

    The handlers ask again, which the authenticator's memory makes cheap, so none of them depends on
    being guarded. They alone see the connection's certificate, so where that may stand for a
    credential, calls without one are theirs to refuse. `stranger` is told of those it refuses.
    """

    def __init__(self, authenticate: Authenticate, stranger: Stranger) -> None:
        self._authenticate = authenticate
        self._stranger = stranger

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method in OPEN:
            return handler
        try:
            credential = credential_of(handler_call_details.invocation_metadata)
            if credential or not self._authenticate.knows_certificates:
                await self._authenticate.admit(credential)
        except PenstockError as error:
            return _refusing(error, self._stranger)
        return handler


def credential_of(metadata: Any) -> bytes:
    """The credential in a call's metadata, as the value of an Authorization header would be."""
    return authorization(
        (name.encode(), value.encode())
        for name, value in metadata or ()
        if name in ("authorization", "x-api-key") and isinstance(value, str)
    )


def names_of(context: "aio.ServicerContext[Any, Any]") -> tuple[str, ...]:
    """The alternative names of the verified certificate that the caller connected with."""
    peer = context.auth_context()
    return tuple(
        f"{kind}:{value.decode(errors='replace')}"
        for key, kind in _KINDS.items()
        for value in peer.get(key, ())
    )


def one_value(metadata: Any, key: str) -> str:
    """The one value of a metadata key; "" for none and for several, of which none is trusted."""
    found = [value for name, value in metadata or () if name == key and isinstance(value, str)]
    return found[0] if len(found) == 1 else ""


def _refusing(error: PenstockError, stranger: Stranger) -> Handler:
    """A handler that reads nothing.

    One of streams, whatever the method: for others gRPC reads the whole message first, and waits
    for one that never comes. Clients can't tell.
    """

    async def refuse(messages: Any, context: aio.ServicerContext[Any, Any]) -> None:
        stranger("grpc", context.peer(), error)
        await context.abort(error.row.grpc, error.message)

    return grpc.stream_stream_rpc_method_handler(refuse)
