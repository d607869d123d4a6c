"""What all requests amount to, when only those of some users were recorded.

Users are kept whole: one is recorded while the hash of its key lies below a threshold, which moves
with the traffic. A record's weight is one over the probability that it was kept, so a user's
records may have different weights, and those of the smaller weight are kept whenever those of the
larger one are.
"""

from collections.abc import Hashable, Mapping, Sequence
from math import sqrt

from routing.evidence.interval import Interval
from routing.evidence.proportion import score_interval, z_score


def weighted_total(
    values_by_user: Mapping[Hashable, Sequence[float]],
    weights: Mapping[Hashable, Sequence[float]],
    level: float = 0.95,
) -> Interval:
    """The total over all requests, recorded or not (Horvitz and Thompson, JASA 1952).

    `values_by_user` has each recorded user's values, one a record, and `weights` the weights in the
    same order. The error is that of drawing users, each on its own. Where nothing is negative the
    lower end is never below what was recorded. ValueError for weights that don't fit or are below
    1.
    """
    total = variance = recorded = 0.0
    signed = False
    for user, values in values_by_user.items():
        scaled = _scaled(user, values, weights)
        total += sum(value for _, value in scaled)
        variance += _variance(scaled)
        recorded += sum(values)
        signed = signed or any(value < 0 for value in values)
    reach = z_score(level) * sqrt(max(0.0, variance))
    low = total - reach if signed else max(recorded, total - reach)
    return Interval(total, low, total + reach, level)


def weighted_share(
    values_by_user: Mapping[Hashable, Sequence[float]],
    weights: Mapping[Hashable, Sequence[float]],
    level: float = 0.95,
) -> Interval:
    """The share of requests whose value is 1 rather than 0 (Hajek 1971), all users together.

    Wilson's interval at the number of independent requests that would be as sure as these users
    are (Korn and Graubard, Survey Methodology 1998): right also at 0 and 1. Arguments as in
    `weighted_total`; ValueError also for values outside [0, 1]. Without any record all of [0, 1].
    """
    size = total = 0.0
    for user, values in values_by_user.items():
        for value, weight in zip(values, _weights(user, values, weights), strict=True):
            if not 0 <= value <= 1:
                raise ValueError(f"a share is of values between 0 and 1: {value}")
            size += weight
            total += weight * value
    if not size:
        return Interval(0.0, 0.0, 1.0, level)
    share = min(1.0, total / size)
    around = by_user = by_record = 0.0
    for user, values in values_by_user.items():
        around += _variance(_scaled(user, [value - share for value in values], weights))
        ones = _scaled(user, [1.0] * len(values), weights)
        by_user += _variance(ones)
        by_record += sum(_variance([one]) for one in ones)
    if not by_record:  # all was recorded
        return Interval(share, share, share, level)
    if share in (0.0, 1.0):  # users that are all alike say nothing of how unlike others are
        return score_interval(share, size**2 / by_user, level)
    trials = size**2 / by_record
    if around > 0:
        trials = min(trials, share * (1 - share) * size**2 / around)
    return score_interval(share, trials, level)


def _scaled(
    user: Hashable, values: Sequence[float], weights: Mapping[Hashable, Sequence[float]]
) -> list[tuple[float, float]]:
    return [
        (weight, weight * value)
        for value, weight in zip(values, _weights(user, values, weights), strict=True)
    ]


def _weights(
    user: Hashable, values: Sequence[float], weights: Mapping[Hashable, Sequence[float]]
) -> Sequence[float]:
    found = weights.get(user, ())
    if len(found) != len(values):
        raise ValueError(f"a user has {len(values)} values and {len(found)} weights")
    if any(weight < 1 for weight in found):
        raise ValueError(f"weights are at least 1, one over a probability: {min(found)}")
    return found


def _variance(scaled: list[tuple[float, float]]) -> float:
    """The estimated variance that one user's being drawn or not adds to the total.

    Two records are both kept exactly when the one of the larger weight is, so their covariance is
    estimated by (1 - 1 / smaller weight) times the product of the weighted values.
    """
    variance = later = 0.0
    for weight, value in sorted(scaled, reverse=True):
        variance += (1 - 1 / weight) * value * (value + 2 * later)
        later += value
    return variance
