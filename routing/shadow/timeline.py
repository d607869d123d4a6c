"""Agreement over time: a candidate may be right all day and wrong since noon."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor

from routing.evidence.counts import PairCounts
from routing.evidence.interval import Interval
from routing.evidence.proportion import wilson

MOMENTS = 32  # at most; fewer are too coarse to place a change, more are noise
_STEPS = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 86400, 7 * 86400)


@dataclass(frozen=True, slots=True)
class Moment:
    """`seconds` of the timeline from `start`, Unix time. `agreement` is raw, noise included.

    `own_agreement` is the primary's with itself, None where no noise was measured.
    """

    start: float
    seconds: float
    sampled: int
    compared: int
    agreement: Interval
    own_agreement: Interval | None


class Timeline:
    """Counts by intervals of a length that people read: minutes, hours or days."""

    __slots__ = ("_last", "_since", "counts", "seconds")

    def __init__(self, since: float, until: float) -> None:
        self.seconds = float(
            next((step for step in _STEPS if (until - since) / step <= MOMENTS), _STEPS[-1])
        )
        # From `since` on rather than from full hours, so that none is short and all noise.
        self._since = since
        self._last = max(0, ceil((until - since) / self.seconds) - 1)
        self.counts: dict[int, PairCounts] = {}

    def at(self, time: float) -> PairCounts:
        """The counts to add to; what lies outside belongs to the first or last interval."""
        index = min(self._last, max(0, floor((time - self._since) / self.seconds)))
        found = self.counts.get(index)
        if found is None:
            found = self.counts[index] = PairCounts()
        return found

    def moments(self, level: float) -> Iterator[Moment]:
        """The intervals in which pairs were compared, in order."""
        for index, counts in sorted(self.counts.items()):
            if not counts.compared:
                continue
            own = counts.with_noise - counts.noise_differs
            yield Moment(
                self._since + index * self.seconds,
                self.seconds,
                counts.sampled,
                counts.compared,
                wilson(counts.compared - counts.candidate_differs, counts.compared, level),
                wilson(own, counts.with_noise, level) if counts.with_noise else None,
            )
