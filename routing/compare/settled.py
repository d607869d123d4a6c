"""What all comparisons have in common: how they end early, and how far apart answers can be."""

import math
from collections.abc import Sequence

from routing.shadow.record import Outcome

# The distance of answers that have none in figures: other shapes, a missing output, NaN against a
# number. Finite, so that it can be stored as JSON and sorted by.
FARTHEST = 1e9


class Settled(Exception):
    """The comparison is over before all was compared, with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def differ(reason: str) -> Settled:
    """The answers disagree, whatever else is in them."""
    return Settled(Outcome(False, FARTHEST, reason=reason))


def incomparable(reason: str) -> Settled:
    return Settled(Outcome(None, reason=reason))


def bounded(distance: float) -> float:
    """The distance, at most FARTHEST; that also stands for NaN."""
    return min(distance, FARTHEST) if not math.isnan(distance) else FARTHEST


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of several about different outputs of the same pair.

    One that differs decides; without it, one that is incomparable leaves the whole so. Measures of
    different comparisons have different names.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    decisive = next((o for o in outcomes if o.agrees is False), None) or next(
        (o for o in outcomes if o.agrees is None), None
    )
    measures: dict[str, float] = {}
    for outcome in outcomes:
        measures.update(outcome.measures)
    return Outcome(
        decisive.agrees if decisive else True,
        max(outcome.distance for outcome in outcomes),
        measures,
        decisive.reason if decisive else "",
        next((outcome.label for outcome in outcomes if outcome.label), ""),
    )
