"""One stream to a backend and the tasks that own it.

Each rule here was paid for (benchmarks/experiments/README.md):
- one reader and one writer task own a stream; a request touches only the outbox and a future, and
  no timeout wraps `read` or `write`, since cancelling either ends the stream for everybody;
- all calls that became ready in one turn of the event loop travel in one frame;
- the reader never waits for a consumer: one that stops reading is cancelled alone.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from grpc import aio

from protos import exchange_calls, exchange_parts
from protos.errors import Kind, PenstockError
from protos.values import InferRequest
from routing.call import Call

METHOD = "/penstock.v1.Backend/Exchange"
FRAME_BYTES = 512 * 1024
# Backends with work write a frame four times a second; this long without one is no slow model.
SILENT_AFTER = 1.0  # seconds
CONNECT_TIMEOUT = 5.0  # seconds
_SILENCE = ("timed out", "timeout", "unreachable", "no route to host")

Stream = aio.StreamStreamCall[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Link:
    """How a lane reaches its backend, and whom it tells how many clients' calls went with it."""

    open_channel: Callable[[], aio.Channel]
    access_key: str
    idle: float  # seconds that a consumer may leave parts unread, unless its route says
    unread: int  # bytes of parts that may be there for a consumer when another one comes
    rng: random.Random
    on_lost: Callable[[int], None]


class Lane:
    """One stream and the tasks that own it; reconnects by itself until it is closed."""

    def __init__(self, link: Link, name: str, frame_calls: int) -> None:
        self._link = link
        self.name = name
        self.loop = asyncio.get_running_loop()
        self.connected = False
        self.calls: dict[int, Call] = {}
        self._newest = 0  # id of a call; they only grow
        self.bytes = 0
        self._heard = 0.0
        self._frame_calls = frame_calls
        self._outbox: deque[Call] = deque()
        self._cancels: list[int] = []
        self._credits: list[tuple[int, int]] = []
        self._wake = asyncio.Event()
        self._task = self.loop.create_task(self._run(), name=f"exchange {name}")

    def submit(self, call_id: int, wire: bytes, request: InferRequest) -> Call:
        call = Call(self.loop, call_id, wire, request, self._link.idle)
        soonest = min(call.deadline, call.first_deadline)
        if soonest != inf:
            call.timer = self.loop.call_at(soonest, self._expire, call)
        if not self.calls:
            self._heard = time.monotonic()
        self.calls[call.id] = call
        self._newest = call.id
        self.bytes += call.size
        self._outbox.append(call)
        self._wake.set()
        return call

    def silent(self, now: float) -> bool:
        """Whether the backend has work of ours and says nothing: stopped, or cut off."""
        return bool(self.calls) and now - self._heard > SILENT_AFTER

    def abandon(self, call: Call) -> None:
        """Nobody waits for this call any more: it leaves the outbox or is cancelled over there."""
        if self._forget(call) and call.written:
            self._cancels.append(call.id)
            self._wake.set()

    def credit(self, call: Call, amount: int) -> None:
        self._credits.append((call.id, amount))
        self._wake.set()

    def cut_off(self, reason: str) -> None:
        self._lose(reason, Kind.CUT_OFF)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._lose("the gateway is closing this connection", Kind.LOST)

    def _forget(self, call: Call) -> bool:
        if self.calls.pop(call.id, None) is None:
            return False
        self.bytes -= call.size
        call.forget_timers()
        return True

    def _expire(self, call: Call) -> None:
        self.abandon(call)
        late = "the first part of the reply" if call.first_deadline < call.deadline else "the reply"
        call.fail(PenstockError(Kind.DEADLINE, f"the deadline passed before {late} came"))

    def _begun(self, call: Call) -> None:
        """The first part of several is there: from now on only the whole deadline counts."""
        call.first_deadline = inf
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None
        if call.deadline != inf:
            call.timer = self.loop.call_at(call.deadline, self._expire, call)

    async def _run(self) -> None:
        failures = 0
        while True:
            started = self.loop.time()
            reason, silent = await self._connection()
            self.connected = False
            self._lose(reason, Kind.CUT_OFF if silent else Kind.LOST)
            # A connection that lived counts as a success: the first retry comes soon after it.
            failures = 0 if self.loop.time() - started > 5.0 else failures + 1
            delay = min(1.0, 0.05 * 2 ** min(failures, 5))
            await asyncio.sleep(delay * self._link.rng.uniform(0.5, 1.0))

    async def _connection(self) -> tuple[str, bool]:
        """Connects, serves until the stream ends; why it ended, and whether that was silence."""
        channel = self._link.open_channel()
        tasks: list[asyncio.Task[None]] = []
        call: Stream | None = None
        try:
            # Not for ever: a channel keeps the certificates that it was made with.
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await channel.channel_ready()
            metadata = ((exchange_calls.ACCESS_KEY, self._link.access_key),)
            call = channel.stream_stream(METHOD)(metadata=metadata)
            # The backend answers with its headers once it has accepted the key.
            await call.initial_metadata()
            if call.done():
                return f"the backend refused the stream: {await call.code()}", False
            self.connected = True
            tasks = [
                self.loop.create_task(self._write(call), name=f"{self.name} writer"),
                self.loop.create_task(self._read(call), name=f"{self.name} reader"),
            ]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            error = next(iter(done)).exception()
            told = await call.details() if call.done() else None
            what = type(error).__name__ if error else "EOF"
            return f"the stream to the backend ended ({what})", silence(told or "")
        except aio.AioRpcError as error:
            return f"the stream to the backend failed ({error.code().name})", False
        except TimeoutError:
            return f"the backend could not be reached in {CONNECT_TIMEOUT:.0f} s", False
        finally:
            # The call goes first: its end makes reader and writer end by themselves.
            if call is not None:
                call.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await channel.close()

    async def _write(self, stream: Stream) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox or self._cancels or self._credits:
                await stream.write(self._next_frame())

    def _next_frame(self) -> bytes:
        # uvloop's own clock has whole milliseconds and stands still during a turn.
        now = time.monotonic()
        size = 0
        calls: list[bytes] = []
        while self._outbox and len(calls) < self._frame_calls and size < FRAME_BYTES:
            call = self._outbox.popleft()
            if call.id not in self.calls:
                continue  # cancelled or expired before it was written
            left = call.deadline - now
            remaining_us = 0 if left == inf else max(1, int(left * 1e6))
            wire = exchange_calls.stamp(call.wire, remaining_us)
            call.written = True
            call.wire = b""  # the bytes are the transport's now
            calls.append(wire)
            size += len(wire)
        cancels, self._cancels = self._cancels, []
        credits, self._credits = self._credits, []
        return exchange_calls.frame(calls, cancels, credits)

    async def _read(self, stream: Stream) -> None:
        while True:
            frame = await stream.read()
            if not isinstance(frame, bytes):  # aio.EOF
                return
            self._heard = time.monotonic()
            for call_id, part, executed in exchange_parts.decode_parts(frame):
                call = self.calls.get(call_id)
                if call is None:
                    if call_id > self._newest:
                        raise PenstockError(Kind.BAD_REPLY, "an answer to a call that nobody made")
                    continue  # given up meanwhile; the cancellation is on its way
                if isinstance(part, PenstockError):
                    self._forget(call)
                    call.fail(part if not executed else _executed(part))
                elif part.final:
                    self._forget(call)
                    call.take(part)
                elif call.unread > self._link.unread:
                    self.abandon(call)
                    call.fail(
                        PenstockError(
                            Kind.BAD_REPLY, "the backend sent more of a reply than it was let"
                        )
                    )
                elif call.streaming:
                    if call.first_deadline != inf:
                        self._begun(call)
                    call.take(part)
                    self.watch_consumer(call)
                else:
                    self.abandon(call)
                    call.fail(
                        PenstockError(
                            Kind.INVALID,
                            "this model answers in several parts: use a streaming endpoint",
                        )
                    )
            # Those who waited go first: starting the next read costs as much as a reply does.
            await asyncio.sleep(0)

    def watch_consumer(self, call: Call) -> None:
        """Parts that nobody takes must not stay for ever: from now on there is a limit."""
        if call.idle is None and call.parts:
            call.idle = self.loop.call_later(call.idle_after, self._consumer_idle, call)

    def _consumer_idle(self, call: Call) -> None:
        call.idle = None
        if call.id in self.calls:
            self.abandon(call)
            call.fail(PenstockError(Kind.CANCELLED, "the client stopped reading the stream"))

    def _lose(self, reason: str, written: Kind) -> None:
        """The stream is gone: what was written may have run, the rest has not."""
        calls = list(self.calls.values())
        self.calls.clear()
        self._outbox.clear()
        self._cancels.clear()
        self._credits.clear()
        self.bytes = 0
        if repeatable := sum(not call.shadow for call in calls):  # copies never are
            self._link.on_lost(repeatable)
        for call in calls:
            call.forget_timers()
            kind = written if call.written else Kind.UNAVAILABLE
            call.fail(PenstockError(kind, reason))


def silence(details: str) -> bool:
    """Whether a stream ended because nothing came any more, by the words that gRPC has for it.

    A process that dies closes its connections (FIN or RST); one that is cut off says nothing until
    TCP's user timeout (RFC 5482) or the keepalive is over. There is no code that tells them apart.
    """
    return any(word in details.lower() for word in _SILENCE)


def _executed(error: PenstockError) -> PenstockError:
    """The same failure after a batch held the call: it is repeated only if that does no harm."""
    if error.row.retry == "elsewhere":
        interrupted = PenstockError(Kind.INTERRUPTED, error.message, retry_after=error.retry_after)
        interrupted.timing = error.timing
        return interrupted
    return error
