"""Which calls of the gRPC face are served, and how long their messages may take.

gRPC's own bound of calls is one for health and everything else, counts calls whose message never
comes, and answers messages that can't be decoded with UNKNOWN and a traceback for each, with which
strangers could fill a disk.
"""

from typing import Any

import grpc
from grpc import aio

from gateway.grpc_guard import Continuation
from gateway.grpc_message import Handler, Messages, served, serving
from gateway.grpc_open import OPEN, Open
from gateway.listening import Limits

MAX_CALLS = 8192  # of a worker at a time; beyond that they are refused
MIN_MESSAGE_RATE = 1024 * 1024  # bytes a second in which the largest message comes


def message_time(limits: Limits) -> float:
    """Seconds for a message of any size: what has arrived of one, gRPC doesn't tell."""
    return limits.body_timeout + limits.body / MIN_MESSAGE_RATE


class Reading(aio.ServerInterceptor):
    """Serves `most` calls at a time, health aside, and waits `seconds` for the one message of each.

    Calls of many messages read them themselves. The handlers are coroutine functions.
    """

    def __init__(self, seconds: float, most: int = MAX_CALLS) -> None:
        self._messages = Messages(seconds)
        self._most = most
        self._running = 0
        self._open = Open()
        self._handlers: dict[str, Handler] = {}  # by method, of which there are few

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        method = handler_call_details.method
        known = self._handlers.get(method)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        bounded = self._open.handler(method, handler) if method in OPEN else self._counted(handler)
        self._handlers[method] = bounded
        return bounded

    def _counted(self, handler: Handler) -> Handler:
        serve, streaming, read = serving(handler), handler.request_streaming, self._messages.read

        async def answer(messages: Any, context: "aio.ServicerContext[Any, Any]") -> Any:
            if self._running >= self._most:
                await context.abort(
                    grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls at a time: try again"
                )
            self._running += 1
            try:
                return await serve(messages if streaming else await read(context), context)
            finally:
                self._running -= 1

        return served(handler, answer)
