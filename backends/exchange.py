"""The backend's end of the exchange: reads frames without pause, answers in any order, in parts.

The stream's reader never waits for the work: what is over the bound is refused by reply. Replies
that are ready together travel in one frame.
"""

import asyncio
import hmac
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, Protocol

import grpc
from grpc import aio

from backends.tracing import Traced, Tracing
from protos import exchange_calls, exchange_parts
from protos.errors import PenstockError
from protos.exchange_calls import Call
from protos.grpc_server import register

FRAME_PARTS = 128
FRAME_BYTES = 512 * 1024
# A gateway that waits hears from us this often, or it takes us for stopped.
SPEAK_EVERY = 0.25  # seconds

log = logging.getLogger(__name__)

Context = aio.ServicerContext[bytes, bytes]

# Takes an encoded part of a call's reply, and whether it is the last.
Answer = Callable[[bytes, bool], None]


class Taken(Protocol):
    """A call that is being worked on."""

    def cancel(self) -> None:
        """Its caller is gone; nothing it is answered with matters any more."""
        ...

    def credit(self, room: int) -> None:
        """Its caller takes so many more bytes of parts, beyond `exchange_parts.INITIAL_CREDIT`."""
        ...


class Worker(Protocol):
    """What does the work behind the exchange."""

    def take(self, calls: Sequence[tuple[Call, Answer]]) -> list[Taken | PenstockError]:
        """Begins calls that arrived together, without waiting: each as taken, or its refusal.

        Each is answered on the event loop, later, with parts of which one is the last.
        """
        ...


class ExchangeService:
    """Serves `penstock.v1.Backend/Exchange` to callers that show the access key."""

    def __init__(self, worker: Worker, access_key: str, tracing: Tracing | None = None) -> None:
        self._worker = worker
        self._key = access_key.encode()
        self._tracing = tracing

    def register(self, server: aio.Server) -> None:
        """Adds the service to a server."""
        method: grpc.RpcMethodHandler[bytes, bytes]
        method = grpc.stream_stream_rpc_method_handler(self._exchange)
        register(server, "penstock.v1.Backend", {"Exchange": method})

    async def _exchange(self, frames: AsyncIterator[bytes], context: Context) -> None:
        if not admitted(context, self._key):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the access key is wrong")
        # Sent at once: the gateway counts the stream as connected when it sees the headers.
        await context.send_initial_metadata(())
        stream = _Stream(self._worker, self._tracing)
        writer = asyncio.create_task(stream.write(context), name="exchange writer")
        speaker = asyncio.create_task(stream.speak(), name="exchange speaker")
        try:
            async for frame in frames:
                stream.take(exchange_calls.decode_requests(frame))
        except PenstockError as error:
            log.warning("ended a gateway's stream: %s", error.message)
        finally:
            stream.close()
            speaker.cancel()
            writer.cancel()
            await asyncio.gather(speaker, writer, return_exceptions=True)


class _Stream:
    """One gateway's stream: its calls in flight and the parts that wait to be written."""

    def __init__(self, worker: Worker, tracing: Tracing | None) -> None:
        self._worker = worker
        self._tracing = tracing
        self._calls: dict[int, Taken] = {}
        self._outbox: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._written = 0
        self._quiet = False

    def take(self, requests: exchange_calls.Requests) -> None:
        readable: list[Call] = []
        for call in requests.calls:
            if isinstance(call, Call):
                readable.append(call)
            else:
                self._refuse(*call)
        if readable:
            self._submit(readable)
        for call_id in requests.cancels:
            taken = self._calls.pop(call_id, None)
            if taken is not None:
                taken.cancel()
        for call_id, room in requests.credits:
            taken = self._calls.get(call_id)
            if taken is not None:
                taken.credit(room)

    def close(self) -> None:
        """The gateway is gone, and so is everybody who waited behind it."""
        for taken in self._calls.values():
            taken.cancel()
        self._calls.clear()

    async def write(self, context: Context) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox or self._quiet:
                await context.write(self._next_frame())

    async def speak(self) -> None:
        """Has an empty frame written where a gateway waits and nothing else was."""
        while True:
            before = self._written
            await asyncio.sleep(SPEAK_EVERY)
            if self._calls and self._written == before:
                self._quiet = True
                self._wake.set()

    def _submit(self, calls: list[Call]) -> None:
        answers: list[tuple[Call, Answer]]
        answers = [(call, partial(self._answer, call.id)) for call in calls]
        traced = None if self._tracing is None else self._trace(self._tracing, answers)
        for call, taken in zip(calls, self._worker.take(answers), strict=True):
            if isinstance(taken, PenstockError):
                self._refuse(call.id, taken)
                if traced and call.id in traced:
                    traced[call.id].refuse(taken.kind.name, time.monotonic())
            else:
                self._calls[call.id] = taken
                if traced and call.id in traced:
                    self._calls[call.id] = _TracedCall(taken, traced[call.id])

    def _trace(
        self, tracing: Tracing, answers: list[tuple[Call, Answer]]
    ) -> dict[int, Traced] | None:
        """Of the sampled calls; in `answers` these are replaced by such as tell their trace."""
        found: dict[int, Traced] | None = None
        for at, (call, _) in enumerate(answers):
            traced = tracing.begin(call, time.monotonic())
            if traced is not None:
                found = found or {}
                found[call.id] = traced
                answers[at] = (traced.call, partial(self._answer_traced, call.id, traced))
        return found

    def _refuse(self, call_id: int, error: PenstockError) -> None:
        self._put(exchange_parts.encode_failure(call_id, error, executed=False))

    def _answer(self, call_id: int, part: bytes, final: bool) -> None:
        if final:
            self._calls.pop(call_id, None)
        self._put(part)

    def _answer_traced(self, call_id: int, traced: Traced, part: bytes, final: bool) -> None:
        self._answer(call_id, part, final)
        traced.part(part, final, time.monotonic())

    def _put(self, part: bytes) -> None:
        self._outbox.append(part)
        self._wake.set()

    def _next_frame(self) -> bytes:
        self._written += 1
        self._quiet = False
        parts: list[bytes] = []
        size = 0
        while self._outbox and len(parts) < FRAME_PARTS and size < FRAME_BYTES:
            part = self._outbox.popleft()
            parts.append(part)
            size += len(part)
        return exchange_parts.reply_frame(parts)


class _TracedCall:
    """A call whose cancellation its trace tells."""

    __slots__ = ("_taken", "_traced")

    def __init__(self, taken: Taken, traced: Traced) -> None:
        self._taken = taken
        self._traced = traced

    def cancel(self) -> None:
        self._taken.cancel()
        self._traced.cancel(time.monotonic())

    def credit(self, room: int) -> None:
        self._taken.credit(room)


def admitted(context: "aio.ServicerContext[Any, Any]", key: bytes) -> bool:
    """Whether the caller shows the key that this backend told the gateways it joined."""
    shown = [
        value
        for name, value in (context.invocation_metadata() or ())
        if name == exchange_calls.ACCESS_KEY and isinstance(value, str)
    ]
    return len(shown) == 1 and hmac.compare_digest(shown[0].encode(), key)
