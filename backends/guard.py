"""Refuses callers without the access key by their metadata, before a message of theirs is read."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from grpc import aio

from protos.exchange_calls import ACCESS_KEY

# Liveness and readiness are open everywhere.
OPEN = frozenset(
    (
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
        "/grpc.health.v1.Health/Check",
    )
)

# In quotes: gRPC's classes are generic for the type checker alone.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class Guard(aio.ServerInterceptor):
    """Lets callers in that show `key`; with `open_`, direct clients of the unary protocol too."""

    def __init__(self, key: str, *, open_: bool) -> None:
        self._key = key.encode()
        self._open = open_

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        unary = method.startswith("/inference.")
        if handler is None or method in OPEN or (unary and self._open):
            return handler
        return handler if self._shown(handler_call_details) else _REFUSING

    def _shown(self, details: grpc.HandlerCallDetails) -> bool:
        shown = [
            value
            for name, value in details.invocation_metadata or ()
            if name == ACCESS_KEY and isinstance(value, str)
        ]
        return len(shown) == 1 and hmac.compare_digest(shown[0].encode(), self._key)


async def _refuse(messages: Any, context: aio.ServicerContext[Any, Any]) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the access key is wrong")


# Of streams, whatever the method: for others gRPC reads the whole message first, and waits for one
# that never comes. Clients can't tell.
_REFUSING: Handler = grpc.stream_stream_rpc_method_handler(_refuse)
