"""What became of every request: the record that promises are held against.

Times are seconds since the experiment began, on the monotonic clock.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Outcome = Literal["answered", "refused", "failed", "cut", "lost", "left"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as its client saw it.

    `planned` is when it was to be sent, which latencies count from: a client that falls behind
    flatters nobody (coordinated omission). `status` is 0 if no reply's head came. `whole` says
    whether the reply was complete and this request's own.
    """

    number: int
    planned: float
    sent: float
    done: float
    status: int
    whole: bool
    tenant: str = "tests"
    retry_after: str = ""
    error: str = ""
    left: bool = False  # the client went away on purpose

    @property
    def seconds(self) -> float:
        """From the plan to the end of the reply."""
        return self.done - self.planned

    @property
    def outcome(self) -> Outcome:
        if self.left:
            return "left"
        if not self.status:
            return "lost"
        if self.status == 200:
            return "answered" if self.whole else "cut"
        return "refused" if self.status in (429, 503) and self.retry_after else "failed"


@dataclass(frozen=True, slots=True)
class Execution:
    """A model began to work on request `number`."""

    number: int
    instance: str
    at: float


@dataclass(slots=True)
class History:
    """Requests in the order in which they ended."""

    requests: list[Request] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)

    def between(self, begin: float, end: float) -> "History":
        """Those that were planned in [begin, end)."""
        return History([each for each in self.requests if begin <= each.planned < end])

    def of(self, *outcomes: Outcome) -> "History":
        return History([each for each in self.requests if each.outcome in outcomes])

    def of_tenant(self, tenant: str) -> "History":
        return History([each for each in self.requests if each.tenant == tenant])

    def outcomes(self) -> Counter[Outcome]:
        return Counter(each.outcome for each in self.requests)

    def quantile(self, share: float) -> float:
        """Seconds; that share of these requests took no longer. NaN of none."""
        return quantile([each.seconds for each in self.requests], share)

    def write(self, file: Path) -> None:
        """As lines of JSON."""
        with file.open("w") as out:
            for each in self.requests:
                out.write(json.dumps(asdict(each) | {"outcome": each.outcome}) + "\n")


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of the values doesn't exceed; NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    # 0.07 of a hundred are seven, though 0.07 * 100 is a little more.
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]
