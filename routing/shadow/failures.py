"""Who failed, and whether that counts against a model."""

from dataclasses import dataclass, field
from math import sqrt

from protos.errors import TABLE, Kind
from routing.evidence.interval import Interval
from routing.evidence.proportion import wilson
from routing.shadow.record import PairRecord
from routing.shadow.tally import Tally

# What says something about the load or the client, not about a model.
_NOBODYS = frozenset({"overloaded", "cancelled"})


def faulty(error: str) -> bool:
    """Whether the failure counts against who failed."""
    kind = Kind.__members__.get(error.upper())
    return error not in _NOBODYS and (kind is None or TABLE[kind].fault == "server")


@dataclass(frozen=True, slots=True)
class Errors:
    """Failures by a server's fault, over the pairs of which both fates are known.

    `delta` is the candidate's rate minus the primary's. `kinds` are the candidate's failures.
    """

    known: int
    primary: Interval
    candidate: Interval
    delta: Interval
    kinds: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class ErrorCounts:
    known: int = 0
    primary: int = 0
    candidate: int = 0
    kinds: Tally = field(default_factory=lambda: Tally(32))

    def add(self, record: PairRecord) -> None:
        if record.status == "dropped":
            return
        primary, candidate = record.primary, record.candidate
        if record.status == "primary_failed":
            # Only where the copy was sent and came to an end, whatever its end was.
            if not candidate.seconds or not faulty(primary.error) or candidate.error in _NOBODYS:
                return
            self.primary += 1
        if candidate.error:
            # Refusing as invalid what the primary answered is a failure too.
            self.candidate += 1
            self.kinds.add(candidate.error)
        self.known += 1

    def figures(self, level: float) -> Errors:
        primary = wilson(self.primary, self.known, level)
        candidate = wilson(self.candidate, self.known, level)
        delta = _difference(candidate, primary)
        return Errors(self.known, primary, candidate, delta, self.kinds.most(10))


def _difference(one: Interval, other: Interval) -> Interval:
    """`one - other` of two shares (Newcombe, Statistics in Medicine 1998, method 10).

    It takes them for independent. Fates of the same requests go together if anything, so the
    interval is too wide rather than too narrow.
    """
    estimate = one.estimate - other.estimate
    down = sqrt((one.estimate - one.low) ** 2 + (other.high - other.estimate) ** 2)
    up = sqrt((one.high - one.estimate) ** 2 + (other.estimate - other.low) ** 2)
    return Interval(estimate, max(-1.0, estimate - down), min(1.0, estimate + up), one.level)
