"""Calls of one message as the gateway reads them: by the handler, so that it can say for how long.

gRPC reads the message of such a call before it asks the handler, and waits for it forever. A
handler of a stream is asked as soon as the metadata is there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from protos.errors import Kind, PenstockError, invalid

# In quotes: gRPC's classes are generic for the type checker alone.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Serve = Callable[[Any, Any], Awaitable[Any]]


def unreadable() -> PenstockError:
    return invalid("the message can't be decoded")


class Messages:
    """Reads the one message of a call, for which there are `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ending: set[asyncio.Task[None]] = set()  # which the loop alone would not hold

    async def read(self, context: "aio.ServicerContext[Any, Any]") -> Any:
        """The message. One that is late, missing or can't be decoded ends the call."""
        timer = asyncio.get_running_loop().call_later(self._seconds, self._too_late, context)
        try:
            message: Any = await context.read()
        except DecodeError:
            await _refuse(context, unreadable())
        finally:
            timer.cancel()
        if message is aio.EOF:
            await _refuse(context, invalid("there is no message"))
        return message

    def _too_late(self, context: "aio.ServicerContext[Any, Any]") -> None:
        # The read is not cancelled: gRPC would still write into what it has given back. It ends,
        # with the same AbortError, when the status is sent.
        task = asyncio.create_task(self._end(context))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, context: "aio.ServicerContext[Any, Any]") -> None:
        with suppress(aio.AbortError):  # which is for whoever reads
            await _refuse(context, PenstockError(Kind.SLOW_CLIENT, "the message took too long"))


def served(handler: Handler, serve: Serve) -> Handler:
    """A handler of the same answers that is asked when a call begins, and reads for itself.

    `serve` takes what a stream's handler would and the context.
    """
    make = (
        grpc.stream_stream_rpc_method_handler
        if handler.response_streaming
        else grpc.stream_unary_rpc_method_handler
    )
    return make(serve, handler.request_deserializer, handler.response_serializer)


def serving(handler: Handler) -> Serve:
    """The function of a handler, a coroutine whatever its form."""
    serve: Any
    if handler.request_streaming:
        serve = handler.stream_stream if handler.response_streaming else handler.stream_unary
    else:
        serve = handler.unary_stream if handler.response_streaming else handler.unary_unary
    return serve  # type: ignore[no-any-return]  # the library's types know no coroutines


async def _refuse(context: "aio.ServicerContext[Any, Any]", error: PenstockError) -> None:
    await context.abort(error.row.grpc, error.message)
