"""One line a request in the log: those that fail or take long, and a sample of the others.

A line has names, numbers and ids only: no payload, path, query, subject or text of an error, and of
tenants those that the configuration names. Lines go through a bounded queue and a thread, since a
standard error that nobody reads blocks whoever writes to it; what doesn't fit is counted.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, TextIO

import orjson

from gateway.metrics import Totals
from gateway.store.recorder import Recorder
from gateway.telemetry.log_format import timestamp
from gateway.telemetry.settings import LogFormat
from protos.timeline import Timeline

MOST = 100  # lines a second: a flood of refusals must not fill a disk
WAITING = 1000  # lines
BATCH = 100
LINGER = 0.2  # seconds
OTHER = "other"


# Told of a request that has ended: its model, face and code, the kind of its error, its timeline,
# and when that was by the timeline's clock.
Log = Callable[[str, str, int, str, Timeline, float], None]


def unlogged(model: str, face: str, code: int, error: str, timeline: Timeline, now: float) -> None:
    """Where nobody reads a log."""


class Over(NamedTuple):
    """A request that has ended; `at` is Unix time, `seconds` how long it took."""

    model: str
    face: str
    code: int
    error: str  # the name of its failure's kind, or empty
    timeline: Timeline
    seconds: float
    at: float
    why: str  # it is told: failed, slow or sample


class RequestLog:
    """`sample` is the share of healthy requests that are told, `slow` in seconds.

    `tenants` are those that may be named. `chance` gives numbers from 0 to 1, `wall` Unix time.
    """

    def __init__(
        self,
        stream: TextIO,
        format_: LogFormat,
        *,
        sample: float,
        slow: float,
        tenants: Collection[str],
        chance: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._stream = stream
        self._line = as_json if format_ == "json" else as_text
        self._sample = sample
        self._slow = slow
        self._tenants = frozenset(tenants)
        self._chance = chance
        self._wall = wall
        self._second = 0
        self._told = 0  # in that second
        self._too_many = 0
        self._lines = Recorder(
            self._write, capacity=WAITING, batch=BATCH, linger=LINGER, name="lines of the log"
        )

    def __call__(
        self, model: str, face: str, code: int, error: str, timeline: Timeline, now: float
    ) -> None:
        """A request ended at `now` by the clock of its timeline; `model` must be bounded."""
        seconds = now - timeline.start
        if code >= 400:
            why = "failed"
        elif seconds > self._slow and not timeline.streaming:
            why = "slow"
        elif self._chance() < self._sample:
            why = "sample"
        else:
            return
        at = self._wall()
        if int(at) != self._second:
            self._second, self._told = int(at), 0
        self._told += 1
        if self._told > MOST:
            self._too_many += 1
            return
        self._lines.put(Over(model, face, code, error, timeline, seconds, at, why))

    @property
    def written(self) -> int:
        return self._lines.written

    @property
    def dropped(self) -> int:
        return self._too_many + self._lines.dropped

    def close(self, timeout: float) -> None:
        """Writes what waits, as far as that goes in so many seconds."""
        self._lines.close(timeout)

    def _write(self, requests: Sequence[Over]) -> None:
        lines = [self._line(described(each, self._tenants)) for each in requests]
        self._stream.write("".join(lines))
        self._stream.flush()


def register_log(totals: Totals, log: RequestLog) -> None:
    """Adds how many lines were written, and how many were not."""
    totals.add("penstock_log_lines", "Requests told in the log.", lambda: log.written)
    totals.add(
        "penstock_log_lines_dropped",
        "Requests that the log lacks: too many in a second, or nobody takes its lines.",
        lambda: log.dropped,
    )


def described(over: Over, tenants: Collection[str]) -> dict[str, Any]:
    """What a line says. Times are milliseconds; `overhead_ms` is neither queue nor compute."""
    timeline = over.timeline
    queue, compute = timeline.queue_us / 1e3, timeline.compute_us / 1e3
    total = over.seconds * 1e3
    said: dict[str, Any] = {
        "time": timestamp(over.at),
        "level": "error" if over.code >= 500 else "info",
        "logger": "request",
        "why": over.why,
        "request_id": timeline.request_id,
        "trace_id": timeline.traceparent[3:35],
        "face": over.face,
        "code": over.code,
        "error": over.error,
        "refused_by": timeline.refused,
        "tenant": _tenant(timeline, tenants),
        "route": timeline.route,
        "arm": timeline.arm,
        "model": over.model,
        "version": timeline.target.version if timeline.target else "",
        "cache": timeline.cache,
        "attempts": len(timeline.instances),
        "instance": timeline.instances[-1] if timeline.instances else "",
        "total_ms": round(total, 3),
        "queue_ms": round(queue, 3),
        "compute_ms": round(compute, 3),
        "overhead_ms": round(max(0.0, total - queue - compute), 3),
        "batch_rows": timeline.batch_rows,
        "prompt_tokens": timeline.prompt_tokens,
        "completion_tokens": timeline.completion_tokens,
    }
    return {name: value for name, value in said.items() if value != ""}


def as_json(said: dict[str, Any]) -> str:
    return orjson.dumps(said).decode() + "\n"


def as_text(said: dict[str, Any]) -> str:
    """For people: what happened first, then what it is found by."""
    where = "/".join(filter(None, (said.get("route"), said.get("arm"))))
    told = [
        f"{said['level'].upper()} request: {said['code']}",
        said.get("error"),
        said["model"],
        where and f"on {where}",
        f"in {said['total_ms']:.1f} ms",
        f"(queue {said['queue_ms']:.1f}, compute {said['compute_ms']:.1f}),",
        f"{said['why']}, id {said.get('request_id') or 'none'}",
    ]
    return " ".join(filter(None, told)) + "\n"


def _tenant(timeline: Timeline, tenants: Collection[str]) -> str:
    if timeline.principal is None:
        return ""
    tenant = timeline.principal.tenant
    return tenant if tenant in tenants else OTHER
