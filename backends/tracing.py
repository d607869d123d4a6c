"""A backend's spans of sampled calls.

    penstock.v1.Backend/Exchange    SERVER, from the call's arrival to the last part of its answer
    ├─ queue
    ├─ execute                      with the parts of a streamed answer; linked to its batch
    └─ batch                        of the first sampled call in it; linked to every call in it

What a call carries on from here (`Call.traceparent`) names the server span, so that whatever else
works on it stands below it: batches here, and servers of OpenAI's API behind `penstock backend
openai`. A batch that holds no sampled call has no span.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from protos import exchange_pb2 as pb
from protos.errors import Kind
from protos.exchange_calls import Call
from protos.span import Event, Link, Span, SpanKind, Value, WallClock, wall_clock
from protos.trace_context import TraceContext, child, is_sampled, new_span_id, read

SERVICE, METHOD = "penstock.v1.Backend", "Exchange"
MOST_HELD = 4096


class Spans(Protocol):
    """Where spans go, from any thread."""

    def put(self, spans: Sequence[Span]) -> None: ...


class Traced:
    """One sampled call under way."""

    __slots__ = ("_arrival", "_call", "_first", "_parent", "_parts", "_tracing", "span_id")

    def __init__(self, tracing: "Tracing", call: Call, now: float) -> None:
        self._tracing = tracing
        self._call = call
        self._parent = read(call.traceparent)
        self._arrival = now
        self._first = 0.0
        self._parts = 0
        self.span_id = new_span_id()

    @property
    def call(self) -> Call:
        """The call as it goes on: below this span."""
        return replace(self._call, traceparent=child(self._call.traceparent, self.span_id))

    def part(self, part: bytes, final: bool, now: float) -> None:
        """A part of the answer, as it is written."""
        self._parts += 1
        self._first = self._first or now
        if final:
            message = pb.Part.FromString(part)
            error = "" if not message.status else _kind(message.status)
            self._end(now, message.timing, error, executed=message.executed)

    def refuse(self, error: str, now: float) -> None:
        """The call was not taken."""
        self._end(now, pb.Timing(), error, executed=False)

    def cancel(self, now: float) -> None:
        """Nobody waits for it any more."""
        self._end(now, pb.Timing(), Kind.CANCELLED.name, executed=False)

    def _end(self, now: float, timing: pb.Timing, error: str, *, executed: bool) -> None:
        tracing, call = self._tracing, self._call
        batch = tracing.batches.pop(self.span_id, None)
        attributes: dict[str, Value] = {
            "rpc.system.name": "grpc",
            "rpc.service": SERVICE,
            "rpc.method": METHOD,
            "penstock.model": call.model,
            "penstock.version": call.version,
        }
        if call.shadow:
            attributes["penstock.shadow"] = True
        if call.suspect:
            attributes["penstock.suspect"] = True
        if error:
            attributes["error.type"] = error
        failed = "" if error == Kind.CANCELLED.name else error
        server = TraceContext(self._parent.trace_id, self.span_id, True)
        span, wall = tracing.span, tracing.wall
        spans = [
            Span(
                server.trace_id,
                server.span_id,
                self._parent.span_id,
                f"{SERVICE}/{METHOD}",
                SpanKind.SERVER,
                wall.at(self._arrival),
                wall.at(now),
                attributes,
                error=failed,
                remote=True,
                tracestate=call.tracestate,
            )
        ]
        if executed or error != Kind.CANCELLED.name:
            started = now if not executed else min(now, self._arrival + timing.queue_us / 1e6)
            spans.append(span("queue", server, self._arrival, started, call.tracestate))
        if executed:
            more: dict[str, Value] = {"penstock.device": tracing.device}
            if timing.batch_rows:
                more["penstock.batch.rows"] = timing.batch_rows
                more["penstock.batch.padded_rows"] = timing.padded_rows
            ended = now if self._parts > 1 else min(now, started + timing.compute_us / 1e6)
            execute = span("execute", server, started, ended, call.tracestate)
            links = (Link(batch.trace_id, batch.span_id),) if batch is not None else ()
            spans.append(
                replace(
                    execute, attributes=more, links=links, events=self._events(now), error=failed
                )
            )
        tracing.put(spans)

    def _events(self, now: float) -> tuple[Event, ...]:
        if self._parts < 2:
            return ()
        wall = self._tracing.wall
        return (
            Event("first_part", wall.at(self._first)),
            Event("last_part", wall.at(now), {"penstock.parts": self._parts}),
        )


class Tracing:
    """One process's. `device` is where its models run."""

    def __init__(
        self, spans: Spans, device: str = "", clock: Callable[[], WallClock] = wall_clock
    ) -> None:
        self.put = spans.put
        self.device = device
        self.wall = clock()
        self._clock = clock
        # The batch that held a call, by the id of the call's server span, until it is answered.
        self.batches: dict[int, TraceContext] = {}

    def begin(self, call: Call, now: float) -> Traced | None:
        """None for a call whose trace isn't sampled."""
        if not is_sampled(call.traceparent):
            return None
        self.wall = self._clock()
        return Traced(self, call, now)

    def hold(self, batch: TraceContext, calls: Iterable[TraceContext]) -> None:
        """The calls will say that they were in this batch; told before they are answered."""
        if len(self.batches) >= MOST_HELD:  # of calls that were cancelled while they executed
            self.batches.clear()
        for each in calls:
            self.batches[each.span_id] = batch

    def span(
        self, name: str, parent: TraceContext, start: float, end: float, tracestate: str = ""
    ) -> Span:
        """One below `parent`, for what happens inside of this process."""
        return Span(
            parent.trace_id,
            new_span_id(),
            parent.span_id,
            name,
            SpanKind.INTERNAL,
            self.wall.at(start),
            self.wall.at(end),
            tracestate=tracestate,
        )


def _kind(status: int) -> str:
    try:
        return Kind(status).name
    except ValueError:
        return Kind.INTERNAL.name
