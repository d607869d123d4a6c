"""Decides which requests are traced, and sends the spans of those that were."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from gateway.tracing.settings import TelemetrySettings
from gateway.tracing.tree import attempts_of, spans_of
from protos.shares import Rate
from protos.span import Attributes, Span, WallClock, wall_clock
from protos.timeline import Timeline
from protos.trace_context import begin, is_sampled, read

SPARE = 1.0  # seconds' worth of retrospective traces that may come at once


class Spans(Protocol):
    """Where spans go."""

    def put(self, spans: Sequence[Span]) -> None: ...


class Tracer:
    """One worker's. Without `spans` nothing is sampled here, and nothing is kept.

    `servers` are attributes of the server spans by face: where it listens. `rng` gives numbers in
    [0, 1).
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        spans: Spans | None,
        rng: Callable[[], float],
        *,
        servers: Mapping[str, Attributes],
        wall: Callable[[], WallClock] = wall_clock,
    ) -> None:
        self._share = settings.sample if spans is not None else 0.0
        self._slow = settings.slow
        self._spans = spans
        self._rng = rng
        self._servers = servers
        self._wall = wall
        self._allowance = Allowance(settings.retrospective)
        self.sampled = 0
        self.retrospective = 0
        self.unkept = 0  # retrospective ones that were too many

    def begin(self, timeline: Timeline) -> str:
        """The request's own traceparent, with which it goes on; noted in its timeline."""
        share = self._share
        sampled = share > 0.0 and not timeline.parent and self._rng() < share
        traceparent = timeline.traceparent = begin(timeline.parent, sampled)
        if self._spans is not None and is_sampled(traceparent):
            timeline.sampled_trace = traceparent[3:35]
        return traceparent

    def over(
        self, timeline: Timeline, *, model: str, face: str, code: int, error: str, now: float
    ) -> None:
        """The request has ended: with HTTP's `code`, and the kind of its `error` if it failed."""
        spans = self._spans
        if spans is None:
            return
        if not timeline.traceparent:  # it was refused by its head
            self.begin(timeline)
        sampled = bool(timeline.sampled_trace)
        failed = code >= 500 and not timeline.by_client
        if not sampled and not failed and timeline.waited_for(now) < self._slow:
            return
        if sampled:
            self.sampled += 1
        elif self._allowance.take(now):
            self.retrospective += 1
            timeline.sampled_trace = timeline.traceparent[3:35]
        else:
            self.unkept += 1
            return
        server, *others = spans_of(
            timeline,
            model=model,
            face=face,
            code=code,
            error=error,
            end=now,
            backends=not sampled,
            wall=self._wall(),
        )
        more = dict(self._servers.get(face, {}))
        if not sampled:
            more["penstock.retrospective"] = True
        spans.put([replace(server, attributes={**server.attributes, **more}), *others])

    def copied(self, traceparent: str, timeline: Timeline, now: float) -> None:
        """A copy of a request, whose traceparent it has, was answered, or won't be."""
        if self._spans is not None and is_sampled(traceparent):
            parent = read(traceparent)
            spans = attempts_of(
                timeline.attempts,
                parent,
                now,
                False,
                self._wall(),
                tracestate=timeline.tracestate,
            )
            self._spans.put(list(spans))


class Allowance:
    """A token bucket: so many at once, and so many a second."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate.per_second
        self._most = max(1.0, self._rate * SPARE)
        self._left = self._most
        self._at: float | None = None

    def take(self, now: float) -> bool:
        if self._at is not None:
            self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


def untraced() -> Tracer:
    """Keeps nothing: requests have ids of traces all the same, and what clients decided goes on."""
    return Tracer(TelemetrySettings(), None, lambda: 1.0, servers={})
