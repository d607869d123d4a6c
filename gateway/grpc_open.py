"""Health, which anybody may ask for: what it may cost, so that it is always there to be asked.

None of it counts among the calls that are served (`gateway/grpc_reading.py`).
"""

from typing import Any

import grpc
from grpc import aio

from gateway.grpc_message import Handler, Messages, served, serving

LIVE = frozenset(
    ("/inference.GRPCInferenceService/ServerLive", "/inference.GRPCInferenceService/ServerReady")
)
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
# What is open: health, as probes ask for it, and nothing else.
OPEN = LIVE | {CHECK, WATCH}

MESSAGE_TIME = 5.0  # seconds for a message, which clients send with the call
MESSAGES = 4  # that are waited for at a time; each may be of the listener's largest size
WATCHES = 256  # calls that are told of changes


class Open:
    """Serves one worker's open methods."""

    def __init__(self) -> None:
        self._messages = Messages(MESSAGE_TIME)
        self._waited_for = 0
        self._watches = 0

    def handler(self, method: str, handler: Handler) -> Handler:
        """`handler`, within what strangers may cost."""
        serve, nothing = serving(handler), _empty(handler)

        async def live(_: Any, context: "aio.ServicerContext[Any, Any]") -> Any:
            return await serve(nothing, context)

        async def check(_: Any, context: "aio.ServicerContext[Any, Any]") -> Any:
            return await serve(await self._message(context, nothing), context)

        async def watch(_: Any, context: "aio.ServicerContext[Any, Any]") -> Any:
            if self._watches >= WATCHES:
                # Clients then go on without watching (gRFC A17); of other statuses they would
                # conclude that the gateway is ill.
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no more watches: ask Check")
            self._watches += 1
            try:
                return await serve(await self._message(context, nothing), context)
            finally:
                self._watches -= 1

        return served(handler, live if method in LIVE else check if method == CHECK else watch)

    async def _message(self, context: "aio.ServicerContext[Any, Any]", nothing: Any) -> Any:
        """The call's message; while strangers let many be waited for, the question of all."""
        if self._waited_for >= MESSAGES:
            return nothing
        self._waited_for += 1
        try:
            return await self._messages.read(context)
        finally:
            self._waited_for -= 1


def _empty(handler: Handler) -> Any:
    """The message without a field, which asks for the whole server's health."""
    decode = handler.request_deserializer
    return b"" if decode is None else decode(b"")
