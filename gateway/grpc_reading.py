"""What becomes of messages that can't be decoded: their sender is told, and nobody else is.

gRPC itself answers them with UNKNOWN and its own words, and logs a traceback for each, with which
strangers could fill a disk.
"""

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from gateway.grpc_guard import Continuation, Handler
from protos.errors import PenstockError, invalid

_UNREADABLE = object()


def unreadable() -> PenstockError:
    return invalid("the message can't be decoded")


class Reading(aio.ServerInterceptor):
    """Ends calls of one message with INVALID_ARGUMENT where that can't be decoded.

    Calls of many messages read them themselves. The handlers are coroutine functions.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}  # by method, of which there are few

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        known = self._handlers.get(handler_call_details.method)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        reading = handler if handler.request_streaming else _reading(handler)
        self._handlers[handler_call_details.method] = reading
        return reading


def _reading(handler: Handler) -> Handler:
    serve: Any = handler.unary_stream if handler.response_streaming else handler.unary_unary
    make = (
        grpc.unary_stream_rpc_method_handler
        if handler.response_streaming
        else grpc.unary_unary_rpc_method_handler
    )

    async def answer(message: Any, context: "aio.ServicerContext[Any, Any]") -> Any:
        if message is _UNREADABLE:
            error = unreadable()
            await context.abort(error.row.grpc, error.message)
        return await serve(message, context)

    return make(answer, _decoding(handler.request_deserializer), handler.response_serializer)


def _decoding(decode: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """The same, but what it raises is its result: here gRPC would answer it."""
    if decode is None:
        return None

    def read(raw: bytes) -> Any:
        try:
            return decode(raw)
        except DecodeError:
            return _UNREADABLE

    return read
