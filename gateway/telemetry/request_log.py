"""One line a request in the log: those that fail or take long, and a sample of the others.

A line has names, numbers and ids only: no payload, path, query, subject or text of an error, and of
tenants those that the configuration names. Lines wait with the others of the process's log to be
written in a thread; what is too much or doesn't fit is counted.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple

import orjson

from gateway.metrics import Totals
from gateway.telemetry.log_format import timestamp
from gateway.telemetry.settings import LogFormat
from protos.log_writer import LogWriter
from protos.timeline import Timeline

# Lines a second of failures, of refusals and of all others: a flood must not fill a disk, nor one
# tenant's refusals hide what failed.
MOST = 50
WAITING = 1000  # lines; what else the process has to say still fits then
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
        writer: LogWriter,
        format_: LogFormat,
        *,
        sample: float,
        slow: float,
        tenants: Collection[str],
        chance: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._line = as_json if format_ == "json" else as_text
        self._sample = sample
        self._slow = slow
        self._tenants = frozenset(tenants)
        self._chance = chance
        self._wall = wall
        self._second = 0
        self._told = {"error": 0, "refused": 0, "healthy": 0}  # in that second
        self.omitted = 0  # those that are too many in a second
        self.dropped = 0  # those that nobody would read in time

    def __call__(
        self, model: str, face: str, code: int, error: str, timeline: Timeline, now: float
    ) -> None:
        """A request ended at `now` by the clock of its timeline; `model` must be bounded."""
        if code >= 500 and not timeline.by_client:
            kind, why = "error", "failed"
        elif code >= 400:
            kind, why = "refused", "failed"
        elif timeline.waited_for(now) > self._slow:
            kind, why = "healthy", "slow"
        elif self._chance() < self._sample:
            kind, why = "healthy", "sample"
        else:
            return
        at = self._wall()
        if int(at) != self._second:
            self._second, self._told = int(at), dict.fromkeys(self._told, 0)
        self._told[kind] += 1
        if self._told[kind] > MOST:
            self.omitted += 1
            return
        if self._writer.waiting >= WAITING:
            self.dropped += 1
            return
        over = Over(model, face, code, error, timeline, now - timeline.start, at, why)
        self._writer.put(partial(self._text, over))

    def _text(self, over: Over) -> str:
        return self._line(described(over, self._tenants))


def register_log(totals: Totals, writer: LogWriter, requests: RequestLog | None = None) -> None:
    """Adds how many lines were written, and how many were not; supervisors have no `requests`."""
    totals.add("penstock_log_lines", "Lines of the log.", lambda: writer.written)
    totals.add(
        "penstock_log_lines_dropped",
        "Lines that the log lacks, as nobody read it.",
        lambda: writer.dropped + (requests.dropped if requests else 0),
    )
    if requests is not None:
        totals.add(
            "penstock_log_lines_omitted",
            "Lines of requests that the log leaves out: too many of a kind in a second.",
            lambda: requests.omitted,
        )


def described(over: Over, tenants: Collection[str]) -> dict[str, Any]:
    """What a line says. Times are milliseconds; `overhead_ms` is neither queue nor compute."""
    timeline = over.timeline
    queue, compute = timeline.queue_us / 1e3, timeline.executed_us / 1e3
    total = over.seconds * 1e3
    said: dict[str, Any] = {
        "time": timestamp(over.at),
        "level": "error" if over.code >= 500 and not timeline.by_client else "info",
        "logger": "request",
        "why": over.why,
        "request_id": timeline.told_id,
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
