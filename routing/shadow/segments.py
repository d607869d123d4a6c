"""Disagreement by tenant, input shape and label: where a candidate differs, not only how often."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import nlargest

from routing.evidence.counts import PairCounts
from routing.evidence.disagreement import above_noise
from routing.evidence.interval import Interval

SHOWN = 20
# Values that are counted one by one. Beyond that the smaller half is counted together, as labels
# and tenants may be any number.
KEPT = 4096


@dataclass(frozen=True, slots=True)
class Segment:
    """One value's pairs.

    `above_noise` holds at the report's level for this segment alone; `corrected` for all segments
    of the report together (Bonferroni), and `flagged` says that it lies above the bound even if
    all pairs that weren't compared had agreed.
    """

    value: str
    sampled: int
    compared: int
    differ: int
    above_noise: Interval
    corrected: Interval
    flagged: bool


@dataclass(frozen=True, slots=True)
class Dimension:
    """The largest segments of one kind and the rest of them together.

    `distinct` is how many values there were; with `at_least` there were more.
    """

    name: str
    segments: tuple[Segment, ...]
    rest: Segment | None
    distinct: int
    at_least: bool = False


@dataclass(slots=True)
class Segments:
    """Counts by value, for as many values as memory is given to.

    Pairs that aren't compared have no value where `of_compared`.
    """

    name: str
    of_compared: bool = False
    kept: int = KEPT
    counts: dict[str, PairCounts] = field(default_factory=dict)
    rest: PairCounts = field(default_factory=PairCounts)
    folded: int = 0

    def of(self, value: str) -> PairCounts:
        """The counts to add to."""
        found = self.counts.get(value)
        if found is None:
            if len(self.counts) >= self.kept:
                self._fold()
            found = self.counts[value] = PairCounts()
        return found

    def _fold(self) -> None:
        # A value that comes back is counted anew: what is large can lose no more than what made it
        # one of the smaller half.
        sizes = sorted(self.counts, key=lambda value: self.counts[value].sampled)
        for value in sizes[: max(1, len(sizes) // 2)]:
            self.rest.merge(self.counts.pop(value))
            self.folded += 1


def dimensions(
    kinds: Sequence[Segments], bound: float, level: float, coverage: float
) -> tuple[Dimension, ...]:
    """What is shown of each kind; a segment is flagged only where it surely exceeds `bound`.

    One of many segments always looks bad by chance, so what flags one is an interval at
    1 - (1 - level) / m, where m is the number of segments shown (Bonferroni). `coverage` is that
    of all pairs; it stands for the segment's own where only compared pairs have a value.
    """
    shown = [
        nlargest(SHOWN, kind.counts.items(), key=lambda item: item[1].sampled) for kind in kinds
    ]
    tested = max(1, sum(map(len, shown)))
    corrected = 1.0 - (1.0 - level) / tested
    return tuple(
        _dimension(kind, largest, bound, level, corrected, coverage)
        for kind, largest in zip(kinds, shown, strict=True)
        if kind.counts
    )


def _dimension(
    kind: Segments,
    largest: Sequence[tuple[str, PairCounts]],
    bound: float,
    level: float,
    corrected: float,
    coverage: float,
) -> Dimension:
    named = {value for value, _ in largest}
    rest = PairCounts()
    rest.merge(kind.rest)
    for value, counts in kind.counts.items():
        if value not in named:
            rest.merge(counts)
    others = kind.folded + len(kind.counts) - len(named)
    covered = coverage if kind.of_compared else 1.0
    return Dimension(
        kind.name,
        tuple(
            _segment(value, counts, bound, level, corrected, covered) for value, counts in largest
        ),
        # The rest is many segments, so it is shown and never flagged.
        _segment("", rest, 1.0, level, corrected, covered) if others else None,
        len(kind.counts),
        at_least=bool(kind.folded),
    )


def _segment(
    value: str,
    counts: PairCounts,
    bound: float,
    level: float,
    corrected: float,
    covered: float,
) -> Segment:
    strict = above_noise(counts, corrected)
    return Segment(
        value,
        counts.sampled,
        counts.compared,
        counts.candidate_differs,
        above_noise(counts, level),
        strict,
        flagged=strict.low * min(covered, counts.coverage) > bound,
    )
