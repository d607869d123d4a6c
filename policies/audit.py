"""What the audit log is told: who asked for what, when, and what was decided. Never a value.

A request's record is made of names, numbers and ids. Nothing of a payload is in it, and no text of
an error either, as that may quote an input.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from policies.api_keys import ISSUER as API_KEY
from protos.errors import Kind, PenstockError
from protos.quantities import Duration, Size, seconds, size
from protos.service import Reply, Service
from protos.settings import Settings
from protos.timeline import Timeline
from protos.usage import rows
from protos.values import InferRequest

Requests = Literal["all", "refused", "none"]
Decision = Literal["allowed", "refused", "failed"]
DECISIONS: tuple[Decision, ...] = ("allowed", "refused", "failed")

# Refusals of who asks or how much, where no filter has left its name.
_REFUSALS = frozenset({"UNAUTHENTICATED", "FORBIDDEN", "RATE_LIMITED"})
_TRACE = slice(3, 35)  # the trace id in a W3C traceparent


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than zero")
    return value


Time = Annotated[Duration, AfterValidator(_positive)]
Bytes = Annotated[Size, AfterValidator(_positive)]


class AuditSettings(Settings):
    """The audit log: files in `folder` (`audit` in the state folder), sealed with `keyFile`.

    A file is followed by the next one after `segmentBytes` or `segmentTime`, and removed `keep`
    after its last record, or as the oldest while all files have more than `keepBytes`; the removal
    is a record. `requests` holds for routes that say nothing.
    While the log can't be written, requests go on or, with `onFailure: refuse`, are refused.
    Failed authentications beyond `strangers` a second are counted. Sampled payloads are removed
    after `keepPayloads`.
    """

    folder: Path | None = None
    key_file: Path | None = None
    requests: Requests = "all"
    on_failure: Literal["continue", "refuse"] = "continue"
    segment_bytes: Bytes = size("64MiB")
    segment_time: Time = seconds("1d")
    keep: Time = seconds("400d")
    keep_bytes: Bytes | None = None
    keep_payloads: Time = seconds("30d")
    strangers: Annotated[int, Field(ge=1, le=10_000)] = 10


class Audit:
    """The filter above all others: notes what a record will tell and only the request knows.

    The record itself is made when the request is over, by the face (`entry`). `writable` says
    whether the log takes records; `refuse` whether requests need that.
    """

    def __init__(self, *, refuse: bool, writable: Callable[[], bool]) -> None:
        self._refuse = refuse
        self._writable = writable
        self.refused = 0

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        timeline = request.context.timeline
        if self._refuse and not self._writable():
            self.refused += 1
            timeline.refused = "audit"
            raise PenstockError(
                Kind.UNAVAILABLE,
                "the audit log can't be written, and nothing is served without it",
                retry_after=1.0,
            )
        timeline.rows = rows(request.payload)
        return service(request)


# A record on its way to the writer: no objects, so that the garbage collector has none to look at.
Entry = tuple[Any, ...]
_FIELDS = (
    *("at", "what", "tenant", "subject", "issuer", "key", "model", "face"),
    *("decision", "status", "error", "by", "route", "arm", "served", "version", "rollout"),
    *("policies", "rows", "prompt_tokens", "completion_tokens", "found", "screened", "cache"),
    *("request", "trace", "seconds"),
)


def entry(
    timeline: Timeline,
    *,
    at: float,
    model: str,
    face: str,
    code: int,
    error: str,
    now: float,
    default: Requests,
) -> Entry | None:
    """All that a record says, of a request that is over; None for one that needs no record.

    `error` is the name of its failure's kind, or empty; `at` is wall time, `now` the timeline's.
    `default` holds where the route says nothing. Who wasn't authenticated makes no request.
    """
    who, route, target = timeline.principal, timeline.snapshot, timeline.target
    if who is None:
        return None
    decided = decision(error, timeline.refused)
    wanted = default if route is None or route.spec.audit is None else route.spec.audit.requests
    if wanted == "none" or (wanted == "refused" and decided != "refused"):
        return None
    return (
        at,
        "request",
        who.tenant,
        who.subject,
        who.issuer,
        who.claims.get("key") if who.issuer == API_KEY else None,
        model,
        face,
        decided,
        code,
        error,
        timeline.refused,
        timeline.route,
        timeline.arm,
        None if target is None else target.model,
        None if target is None else target.version,
        timeline.rollout,
        None if route is None else route.revision,
        timeline.rows,
        timeline.prompt_tokens,
        timeline.completion_tokens,
        timeline.found,
        timeline.screened,
        timeline.cache,
        timeline.request_id,
        timeline.traceparent[_TRACE],
        now - timeline.start,
    )


def record(entry: Entry) -> dict[str, Any]:
    """The entry as it is written; what says nothing is left out."""
    return {name: value for name, value in zip(_FIELDS, entry, strict=True) if value}


def decision(error: str, refused: str) -> Decision:
    """What became of a request, from its failure's kind and the filter that refused it."""
    if not error:
        return "allowed"
    return "refused" if refused or error in _REFUSALS else "failed"


class Strangers:
    """Which failed authentications are recorded: so many a second, the others are counted.

    `now` is in seconds of any clock that only goes forward.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = -1
        self._told = 0
        self._left_out = 0

    def tell(self, now: float) -> bool:
        """Whether this one is recorded."""
        if int(now) != self._second:
            self._second, self._told = int(now), 0
        if self._told < self._per_second:
            self._told += 1
            return True
        self._left_out += 1
        return False

    def left_out(self) -> int:
        """How many were not, since this was asked before."""
        count, self._left_out = self._left_out, 0
        return count
