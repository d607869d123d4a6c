"""Totals over all requests from the records of a part of them, with what that leaves unsure."""

from collections.abc import Hashable, Sequence
from math import sqrt

from routing.decisions import Decision
from routing.evidence.interval import Interval
from routing.evidence.proportion import z_score
from routing.evidence.weighted import weighted_total


class Tally:
    """Adds up the same `figures` numbers of each record.

    Records of a user who was kept as a whole are together or not at all, so users are what was
    drawn, and of a user only the sums by weight matter; other records were drawn each for itself.
    """

    def __init__(self, figures: int = 1) -> None:
        self._figures = figures
        self._users: dict[bytes, dict[float, list[float]]] = {}
        self._total = [0.0] * figures
        self._variance = [0.0] * figures
        self._recorded = [0.0] * figures

    def add(self, decision: Decision, *values: float) -> None:
        """One record; no value may be negative."""
        weight = decision.weight
        if decision.whole:
            sums = self._users.setdefault(decision.user, {}).setdefault(
                weight, [0.0] * self._figures
            )
            for index, value in enumerate(values):
                sums[index] += value
            return
        for index, value in enumerate(values):
            self._total[index] += weight * value
            self._variance[index] += weight * (weight - 1) * value * value
            self._recorded[index] += value

    def total(self, factors: Sequence[float] = (1.0,), level: float = 0.95) -> Interval:
        """The sum of the figures, each times its factor; of two one must be 0 in each record."""
        values: dict[Hashable, list[float]] = {
            user: [_product(sums, factors) for sums in by_weight.values()]
            for user, by_weight in self._users.items()
        }
        weights: dict[Hashable, list[float]] = {
            user: list(by_weight) for user, by_weight in self._users.items()
        }
        whole = weighted_total(values, weights, level)
        z = z_score(level)
        variance = ((whole.high - whole.estimate) / z) ** 2
        variance += _product(self._variance, [factor * factor for factor in factors])
        estimate = whole.estimate + _product(self._total, factors)
        recorded = sum(map(sum, values.values())) + _product(self._recorded, factors)
        reach = z * sqrt(variance)
        # What was recorded is at least what there is; added up in another order it may differ.
        low = min(estimate, max(recorded, estimate - reach))
        return Interval(estimate, low, estimate + reach, level)


def scaled(interval: Interval, factor: float) -> Interval:
    """The interval in another unit."""
    return Interval(
        interval.estimate * factor, interval.low * factor, interval.high * factor, interval.level
    )


def _product(sums: Sequence[float], factors: Sequence[float]) -> float:
    return sum(each * factor for each, factor in zip(sums, factors, strict=True))
