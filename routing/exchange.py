"""The gateway's end of the exchange with one backend: calls in, replies out, over two streams.

Each rule here was paid for (benchmarks/experiments/README.md):
- one reader and one writer task own a stream; a request touches only the outbox and a future, and
  no timeout wraps `read` or `write`, since cancelling either ends the stream for everybody;
- all calls that became ready in one turn of the event loop travel in one frame;
- large messages have a stream of their own, so that small ones never wait behind them;
- the reader never waits for a consumer: a streamed reply has a credit of bytes, and a client that
  leaves it used up for too long is cancelled alone.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc
from grpc import aio

from protos import exchange_codec as codec
from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import InferRequest, Part

METHOD = "/penstock.v1.Backend/Exchange"
LARGE_BYTES = 256 * 1024
FRAME_CALLS = 128
FRAME_BYTES = 512 * 1024
MESSAGE_BYTES = 512 * 1024 * 1024
# Backends with work write a frame four times a second; this long without one is no slow model.
SILENT_AFTER = 1.0  # seconds

CHANNEL_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    # Keepalive finds half-open links; backends permit the same interval.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Lanes must not share a connection, or the large one would block the small one in TCP.
    ("grpc.use_local_subchannel_pool", 1),
    # Reconnecting is this module's business; gRPC's own backoff would only be added to it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


Stream = aio.StreamStreamCall[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one endpoint may have in flight from this process, and a slow consumer's patience."""

    calls: int = 4096
    bytes: int = 1 << 30
    credit: int = codec.INITIAL_CREDIT
    idle: float = 5.0  # seconds


class _Call:
    """A call in flight: a future for the first part, a queue for the rest."""

    __slots__ = (
        "deadline",
        "first",
        "id",
        "idle",
        "lane",
        "more",
        "parts",
        "size",
        "streaming",
        "timer",
        "wire",
        "written",
    )

    def __init__(self, lane: "_Lane", call_id: int, wire: bytes, request: InferRequest) -> None:
        self.lane = lane
        self.id = call_id
        self.wire = wire
        self.size = len(wire)
        self.deadline = request.context.deadline
        self.streaming = request.context.streaming
        self.first: asyncio.Future[Part] = lane.loop.create_future()
        self.parts: deque[Part | PenstockError] = deque()
        self.more: asyncio.Event | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.idle: asyncio.TimerHandle | None = None
        self.written = False

    def fail(self, error: PenstockError) -> None:
        if not self.first.done():
            self.first.set_exception(error)
        else:
            self._push(error)

    def take(self, part: Part) -> None:
        if not self.first.done():
            self.first.set_result(part)
        else:
            self._push(part)

    def _push(self, part: Part | PenstockError) -> None:
        self.parts.append(part)
        if self.more is not None:
            self.more.set()

    def forget_timers(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.idle is not None:
            self.idle.cancel()


class _Lane:
    """One stream and the tasks that own it; reconnects by itself until it is closed."""

    def __init__(self, exchange: "Exchange", name: str, frame_calls: int) -> None:
        self.exchange = exchange
        self.name = name
        self.loop = asyncio.get_running_loop()
        self.connected = False
        self.calls: dict[int, _Call] = {}
        self.bytes = 0
        self._heard = 0.0
        self._frame_calls = frame_calls
        self._outbox: deque[_Call] = deque()
        self._cancels: list[int] = []
        self._credits: list[tuple[int, int]] = []
        self._wake = asyncio.Event()
        self._task = self.loop.create_task(self._run(), name=f"exchange {name}")

    def submit(self, call_id: int, wire: bytes, request: InferRequest) -> _Call:
        call = _Call(self, call_id, wire, request)
        if call.deadline != float("inf"):
            call.timer = self.loop.call_at(call.deadline, self._expire, call)
        if not self.calls:
            self._heard = time.monotonic()
        self.calls[call.id] = call
        self.bytes += call.size
        self._outbox.append(call)
        self._wake.set()
        return call

    def silent(self, now: float) -> bool:
        """Whether the backend has work of ours and says nothing: stopped, or cut off."""
        return bool(self.calls) and now - self._heard > SILENT_AFTER

    def abandon(self, call: _Call) -> None:
        """Nobody waits for this call any more: it leaves the outbox or is cancelled over there."""
        if self._forget(call) and call.written:
            self._cancels.append(call.id)
            self._wake.set()

    def credit(self, call: _Call, amount: int) -> None:
        self._credits.append((call.id, amount))
        self._wake.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._lose("the gateway is closing this connection")

    def _forget(self, call: _Call) -> bool:
        if self.calls.pop(call.id, None) is None:
            return False
        self.bytes -= call.size
        call.forget_timers()
        return True

    def _expire(self, call: _Call) -> None:
        self.abandon(call)
        call.fail(PenstockError(Kind.DEADLINE, "the deadline passed before the reply came"))

    async def _run(self) -> None:
        failures = 0
        while True:
            started = self.loop.time()
            reason = await self._connection()
            self.connected = False
            self._lose(reason)
            # A connection that lived counts as a success: the first retry comes soon after it.
            failures = 0 if self.loop.time() - started > 5.0 else failures + 1
            delay = min(1.0, 0.05 * 2 ** min(failures, 5))
            await asyncio.sleep(delay * self.exchange.rng.uniform(0.5, 1.0))

    async def _connection(self) -> str:
        """Connects, serves until the stream ends, and says why it ended."""
        channel = self.exchange.open_channel()
        tasks: list[asyncio.Task[None]] = []
        call: Stream | None = None
        try:
            await channel.channel_ready()
            metadata = ((codec.ACCESS_KEY, self.exchange.access_key),)
            call = channel.stream_stream(METHOD)(metadata=metadata)
            # The backend answers with its headers once it has accepted the key.
            await call.initial_metadata()
            if call.done():
                return f"the backend refused the stream: {await call.code()}"
            self.connected = True
            tasks = [
                self.loop.create_task(self._write(call), name=f"{self.name} writer"),
                self.loop.create_task(self._read(call), name=f"{self.name} reader"),
            ]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            error = next(iter(done)).exception()
            return f"the stream to the backend ended ({type(error).__name__ if error else 'EOF'})"
        except aio.AioRpcError as error:
            return f"the stream to the backend failed ({error.code().name})"
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
            remaining_us = 0 if left == float("inf") else max(1, int(left * 1e6))
            wire = codec.stamp(call.wire, remaining_us)
            call.written = True
            call.wire = b""  # the bytes are the transport's now
            calls.append(wire)
            size += len(wire)
        cancels, self._cancels = self._cancels, []
        credits, self._credits = self._credits, []
        return codec.frame(calls, cancels, credits)

    async def _read(self, stream: Stream) -> None:
        while True:
            frame = await stream.read()
            if not isinstance(frame, bytes):  # aio.EOF
                return
            self._heard = time.monotonic()
            for call_id, part, executed in codec.decode_parts(frame):
                call = self.calls.get(call_id)
                if call is None:
                    continue  # given up meanwhile; the cancellation is on its way
                if isinstance(part, PenstockError):
                    self._forget(call)
                    call.fail(part if not executed else _executed(part))
                elif part.final:
                    self._forget(call)
                    call.take(part)
                elif call.streaming:
                    call.take(part)
                    self._watch_consumer(call)
                else:
                    self.abandon(call)
                    call.fail(
                        PenstockError(
                            Kind.INVALID,
                            "this model answers in several parts: use a streaming endpoint",
                        )
                    )

    def _watch_consumer(self, call: _Call) -> None:
        if call.idle is None and call.parts:
            idle = self.exchange.bounds.idle
            call.idle = self.loop.call_later(idle, self._consumer_idle, call)

    def _consumer_idle(self, call: _Call) -> None:
        call.idle = None
        if call.id in self.calls:
            self.abandon(call)
            call.fail(PenstockError(Kind.CANCELLED, "the client stopped reading the stream"))

    def _lose(self, reason: str) -> None:
        """The stream is gone: what was written may have run, the rest has not."""
        calls = list(self.calls.values())
        self.calls.clear()
        self._outbox.clear()
        self._cancels.clear()
        self._credits.clear()
        self.bytes = 0
        if calls:
            self.exchange.on_lost(len(calls))
        for call in calls:
            call.forget_timers()
            kind = Kind.LOST if call.written else Kind.UNAVAILABLE
            call.fail(PenstockError(kind, reason))


def _executed(error: PenstockError) -> PenstockError:
    """The same failure after a batch held the call: no free second attempt elsewhere."""
    if error.row.retry == "elsewhere":
        return PenstockError(Kind.LOST, error.message, retry_after=error.retry_after)
    return error


class Exchange:
    """Calls to one backend instance. `connected` says whether calls can be written at once."""

    def __init__(
        self,
        address: str,
        access_key: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        bounds: Bounds | None = None,
        rng: random.Random | None = None,
        on_lost: Callable[[int], None] = lambda calls: None,
    ) -> None:
        self.address = address
        self.access_key = access_key
        self.bounds = bounds or Bounds()
        self.rng = rng or random.Random()  # noqa: S311 (jitter, not a secret)
        self.on_lost = on_lost
        self._credentials = credentials
        self._small = _Lane(self, f"{address} small", FRAME_CALLS)
        self._large = _Lane(self, f"{address} large", 1)
        # Models whose last reply was large: their calls take the large lane for its sake.
        self._large_replies: set[str] = set()
        self._last_id = 0

    @property
    def connected(self) -> bool:
        return self._small.connected and self._large.connected

    @property
    def silent(self) -> bool:
        now = time.monotonic()
        return self._small.silent(now) or self._large.silent(now)

    @property
    def in_flight(self) -> int:
        return len(self._small.calls) + len(self._large.calls)

    def open_channel(self) -> aio.Channel:
        if self._credentials is not None:
            return aio.secure_channel(self.address, self._credentials, options=CHANNEL_OPTIONS)
        return aio.insecure_channel(self.address, options=CHANNEL_OPTIONS)

    async def __call__(self, request: InferRequest) -> Reply:
        """Sends the request and returns its reply when the first part is there."""
        self._last_id += 1
        wire = codec.encode_call(self._last_id, request)
        self._admit(len(wire))
        large = len(wire) >= LARGE_BYTES or request.model in self._large_replies
        lane = self._large if large else self._small
        call = lane.submit(self._last_id, wire, request)
        try:
            first = await call.first
        except asyncio.CancelledError:
            lane.abandon(call)
            raise
        self._learn(request.model, first)
        timeline = request.context.timeline
        timeline.queue_us += first.queue_us
        timeline.compute_us += first.compute_us
        timeline.batch_rows = first.batch_rows
        if first.final:
            return Reply(first)
        return Reply(first, self._rest(call, first), lambda: lane.abandon(call))

    async def close(self) -> None:
        await asyncio.gather(self._small.close(), self._large.close())

    def _admit(self, size: int) -> None:
        if not self.connected:
            raise PenstockError(Kind.UNAVAILABLE, "the backend is not connected")
        if self.in_flight >= self.bounds.calls:
            raise PenstockError(
                Kind.OVERLOADED, "too many requests are in flight to this model", retry_after=1.0
            )
        if self._small.bytes + self._large.bytes + size > self.bounds.bytes:
            raise PenstockError(
                Kind.OVERLOADED, "too many bytes are in flight to this model", retry_after=1.0
            )

    def _learn(self, model: str, part: Part) -> None:
        size = sum(len(tensor.data) for tensor in part.payload.tensors)
        if size >= LARGE_BYTES:
            self._large_replies.add(model)
        elif self._large_replies:
            self._large_replies.discard(model)

    async def _rest(self, call: _Call, first: Part) -> AsyncIterator[Part]:
        """The parts after the first; extends the backend's credit as they are consumed."""
        call.more = asyncio.Event()
        used = _size(first)
        while True:
            while not call.parts:
                call.more.clear()
                await call.more.wait()
            if call.idle is not None:
                call.idle.cancel()
                call.idle = None
            part = call.parts.popleft()
            if isinstance(part, PenstockError):
                raise part
            if part.final:
                yield part
                return
            used += _size(part)
            if used >= self.bounds.credit // 2:
                call.lane.credit(call, used)
                used = 0
            yield part

    def __repr__(self) -> str:
        state = "connected" if self.connected else "not connected"
        return f"<Exchange {self.address} {state}, {self.in_flight} in flight>"


def _size(part: Part) -> int:
    return sum(len(tensor.data) for tensor in part.payload.tensors)
