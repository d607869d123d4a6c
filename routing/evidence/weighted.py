"""What all requests amount to, when only those of some users were recorded.

Users are kept whole: one is recorded while the hash of its key lies below a threshold, which moves
with the traffic. A record's weight is one over the probability that it was kept, so a user's
records may have different weights, and those of the smaller weight are kept whenever those of the
larger one are. What is sampled are users, so the errors are those of drawing users, each on its
own; they are themselves estimated from as many users as matter, which Student's distribution
allows for (Satterthwaite, Biometrics 1946).
"""

from collections.abc import Hashable, Mapping, Sequence
from math import sqrt

from routing.evidence.interval import Interval
from routing.evidence.proportion import score_interval, z_score
from routing.evidence.student import t_score


def weighted_total(
    values_by_user: Mapping[Hashable, Sequence[float]],
    weights: Mapping[Hashable, Sequence[float]],
    level: float = 0.95,
) -> Interval:
    """The total over all requests, recorded or not (Horvitz and Thompson, JASA 1952).

    `values_by_user` has each recorded user's values, one a record, and `weights` the weights in the
    same order. Where nothing is negative the error grows with the total, as a count's does, and the
    lower end is never below what was recorded. ValueError for weights that don't fit or are below
    1.
    """
    total = recorded = 0.0
    signed = False
    errors: list[float] = []
    for user, values in values_by_user.items():
        scaled = _scaled(user, values, weights)
        total += sum(value for _, value in scaled)
        recorded += sum(values)
        signed = signed or any(value < 0 for value in values)
        errors.append(_variance(scaled))
    variance = sum(errors)
    if variance <= 0:
        return Interval(total, total, total, level)
    t2 = t_score(level, _freedom(errors)) ** 2
    if signed:
        reach = sqrt(t2 * variance)
        return Interval(total, total - reach, total + reach, level)
    # (T - total)^2 = t^2 variance T / total, solved for T.
    half = t2 * variance / total / 2
    reach = sqrt(half * (2 * total + half))
    low = min(total, max(recorded, total + half - reach))
    return Interval(total, low, total + half + reach, level)


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
    around: list[float] = []
    by_user: list[float] = []
    by_record = 0.0
    for user, values in values_by_user.items():
        around.append(_variance(_scaled(user, [value - share for value in values], weights)))
        ones = _scaled(user, [1.0] * len(values), weights)
        by_user.append(_variance(ones))
        by_record += sum(_variance([one]) for one in ones)
    if not by_record:  # all was recorded
        return Interval(share, share, share, level)
    if share in (0.0, 1.0) or sum(around) <= 0:
        # Users that are all alike say nothing of how unlike others are.
        trials, errors = size**2 / sum(by_user), by_user
    else:
        trials = min(size**2 / by_record, share * (1 - share) * size**2 / sum(around))
        errors = around
    trials *= (z_score(level) / t_score(level, _freedom(errors))) ** 2
    return score_interval(share, trials, level)


def _freedom(errors: Sequence[float]) -> int:
    """As many equal users as would make their sum as sure as these do."""
    return max(1, int(sum(errors) ** 2 / sum(error * error for error in errors)))


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
    if found and min(found) < 1:
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
