"""The gateway's end of the exchange with one backend: calls in, replies out, over two streams.

Large messages have a stream of their own, so that small ones never wait behind them. A streamed
reply has a credit of bytes that grows as its parts are taken.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc
from grpc import aio

from protos import exchange_calls, exchange_parts
from protos.errors import Kind, PenstockError
from protos.exchange_objects import bytes_of
from protos.service import Reply
from protos.timeline import Attempt
from protos.tls_files import Followed
from protos.usage import measure
from protos.values import InferRequest, Part
from routing.call import Call
from routing.lane import Lane, Link

LARGE_BYTES = 256 * 1024
FRAME_CALLS = 128
MESSAGE_BYTES = 512 * 1024 * 1024

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


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one endpoint may have in flight from this process, and a slow consumer's patience."""

    calls: int = 4096
    bytes: int = 1 << 30
    credit: int = exchange_parts.INITIAL_CREDIT
    idle: float = 5.0  # seconds


class Exchange:
    """Calls to one backend instance. `connected` says whether calls can be written at once."""

    def __init__(
        self,
        address: str,
        access_key: str,
        *,
        credentials: Followed[grpc.ChannelCredentials] | None = None,
        bounds: Bounds | None = None,
        rng: random.Random | None = None,
        on_lost: Callable[[int], None] = lambda calls: None,
    ) -> None:
        self.address = address
        self.access_key = access_key
        self.bounds = bounds or Bounds()
        self._credentials = credentials
        jitter = rng or random.Random()  # noqa: S311 (no secret)
        # What is on the way when credit is given may come on top of it.
        unread = 2 * self.bounds.credit
        link = Link(self.open_channel, access_key, self.bounds.idle, unread, jitter, on_lost)
        self._small = Lane(link, f"{address} small", FRAME_CALLS)
        self._large = Lane(link, f"{address} large", 1)
        # Models whose last reply was large: their calls take the large lane for its sake.
        self._large_replies: set[str] = set()
        self._last_id = 0

    @property
    def connected(self) -> bool:
        return self._small.connected and self._large.connected

    @property
    def silent(self) -> bool:
        if not self._small.calls and not self._large.calls:
            return False
        now = time.monotonic()
        return self._small.silent(now) or self._large.silent(now)

    @property
    def in_flight(self) -> int:
        return len(self._small.calls) + len(self._large.calls)

    def open_channel(self) -> aio.Channel:
        if self._credentials is not None:
            credentials = self._credentials.current()
            return aio.secure_channel(self.address, credentials, options=CHANNEL_OPTIONS)
        return aio.insecure_channel(self.address, options=CHANNEL_OPTIONS)

    async def __call__(self, request: InferRequest) -> Reply:
        """Sends the request and returns its reply when the first part is there."""
        self._last_id += 1
        timeline = request.context.timeline
        attempt = timeline.attempt()
        wire = exchange_calls.encode_call(self._last_id, request, attempt.span_id)
        self._admit(len(wire))
        timeline.began = timeline.began or time.monotonic()
        large = len(wire) >= LARGE_BYTES or request.model in self._large_replies
        lane = self._large if large else self._small
        call = lane.submit(self._last_id, wire, request)
        try:
            first = await call.first
        except asyncio.CancelledError:
            lane.abandon(call)
            raise
        except PenstockError as error:
            if error.timing is not None:
                told = error.timing
                timeline.queue_us += told.queue_us
                timeline.compute_us += told.compute_us
                timeline.batch_rows = told.batch_rows
                attempt.learn(*told)
            raise
        self._learn(request.model, first)
        timeline.answered = attempt.answered = time.monotonic()
        timeline.queue_us += first.queue_us
        timeline.compute_us += first.compute_us
        timeline.batch_rows = first.batch_rows
        measure(timeline.used, request, first)
        attempt.parts = 1
        attempt.learn(first.queue_us, first.compute_us, first.batch_rows, first.padded_rows)
        if first.final:
            attempt.ended = attempt.answered
            return Reply(first)

        def close() -> None:
            attempt.end(time.monotonic(), "CANCELLED")  # unless it was complete
            lane.abandon(call)

        return Reply(first, self._rest(lane, call, request, attempt, first), close)

    def cut_off(self, reason: str) -> None:
        """Gives up all calls that are under way, as if the network had swallowed them."""
        self._small.cut_off(reason)
        self._large.cut_off(reason)

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
        if bytes_of(part.payload) >= LARGE_BYTES:
            self._large_replies.add(model)
        elif self._large_replies:
            self._large_replies.discard(model)

    async def _rest(
        self, lane: Lane, call: Call, request: InferRequest, attempt: Attempt, first: Part
    ) -> AsyncIterator[Part]:
        """The parts after the first; extends the backend's credit as they are consumed."""
        call.more = asyncio.Event()
        uses = request.context.timeline.used
        used = bytes_of(first.payload)
        while True:
            while not call.parts:
                call.more.clear()
                await call.more.wait()
            if call.idle is not None:
                call.idle.cancel()
                call.idle = None
            part, size = call.next()
            lane.watch_consumer(call)
            if isinstance(part, PenstockError):
                attempt.end(time.monotonic(), part.kind.name)
                if part.timing is not None:
                    attempt.learn(*part.timing)
                raise part
            measure(uses, request, part)
            attempt.parts += 1
            attempt.learn(part.queue_us, part.compute_us, part.batch_rows, part.padded_rows)
            if part.final:
                attempt.end(time.monotonic())
                yield part
                return
            used += size
            if used >= self.bounds.credit // 2:
                lane.credit(call, used)
                used = 0
            yield part

    def __repr__(self) -> str:
        state = "connected" if self.connected else "not connected"
        return f"<Exchange {self.address} {state}, {self.in_flight} in flight>"
