"""What the evidence of a shadow says: promote, don't, or not enough evidence.

The rule is non-inferiority: to promote, every interval has to lie within its bound. To advise
against, one has to lie beyond it. All between is a lack of evidence, and says how much is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Literal

from protos.route.rollout import Analysis
from routing.evidence.counts import PairCounts
from routing.evidence.interval import Interval
from routing.shadow import wording as say
from routing.shadow.failures import Errors
from routing.shadow.segments import Dimension

Decision = Literal["promote", "dont", "not_enough_evidence"]
State = Literal["met", "missed", "open"]

_QUANTILES = {"latency_p50": 0.5, "latency_p90": 0.9, "latency_p99": 0.99}


@dataclass(frozen=True, slots=True)
class Criteria:
    """The bounds. Shares (0.01 is 1 pp); `max_latency_ratios` are bounds by quantile.

    `level` is that of each interval. `source` says in words where the bounds come from.
    """

    max_above_noise: float = 0.01
    max_error_delta: float = 0.005
    max_latency_ratios: tuple[tuple[float, float], ...] = ((0.99, 1.2),)
    min_coverage: float = 0.95
    min_samples: int = 500
    level: float = 0.95
    source: str = "the defaults"


def criteria_of(analysis: Analysis) -> Criteria:
    """The bounds of a route's rollout; the default for what it has no metric for."""
    default = Criteria()
    bounds = {metric.name: metric.bound for metric in analysis.metrics}
    ratios = tuple((q, bounds[name]) for name, q in _QUANTILES.items() if name in bounds)
    return Criteria(
        bounds.get("disagreement", default.max_above_noise),
        bounds.get("error_rate", default.max_error_delta),
        ratios or default.max_latency_ratios,
        default.min_coverage,
        analysis.min_samples,
        analysis.confidence,
        "the route's rollout",
    )


@dataclass(frozen=True, slots=True)
class Check:
    """One criterion. `value` is in the unit of `bound`; `interval` is None for plain counts."""

    name: str
    state: State
    value: float
    bound: float
    sentence: str
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is one sentence or two; `checks` are what it rests on."""

    decision: Decision
    reason: str
    checks: tuple[Check, ...]


def decide(
    criteria: Criteria,
    counts: PairCounts,
    above: Interval,
    errors: Errors,
    ratios: Sequence[tuple[float, Interval]],
    dimensions: Sequence[Dimension],
    why_not: Sequence[tuple[str, int]],
) -> Verdict:
    """`ratios` are of latencies, by quantile; `why_not` says how often pairs weren't compared."""
    checks = (
        _samples(criteria, counts),
        _coverage(criteria, counts, why_not),
        _disagreement(criteria, counts, above),
        _segments(criteria, dimensions),
        _errors(criteria, errors),
        *_latencies(criteria, ratios),
    )
    missed = [check.sentence for check in checks if check.state == "missed"]
    if missed:
        return Verdict("dont", " ".join(missed), checks)
    lacking = [check.sentence for check in checks if check.state == "open"]
    if lacking:
        # The first is what the others depend on; two are as much as a person reads.
        return Verdict("not_enough_evidence", " ".join(lacking[:2]), checks)
    return Verdict("promote", _all_well(criteria, counts, above), checks)


def _all_well(criteria: Criteria, counts: PairCounts, above: Interval) -> str:
    noise = "" if counts.with_noise else " No noise floor was measured, so every difference counts."
    return (
        f"Over {say.count(counts.compared)} compared pairs the candidate differs by "
        f"{say.points(above.estimate)} beyond the noise (the {say.level(above)} interval is "
        f"{say.point_range(above)}), and {say.points(criteria.max_above_noise)} are allowed. "
        f"Errors and latency are within their bounds.{noise}"
    )


def _samples(criteria: Criteria, counts: PairCounts) -> Check:
    enough = counts.compared >= criteria.min_samples
    return Check(
        "samples",
        "met" if enough else "open",
        counts.compared,
        criteria.min_samples,
        f"{say.count(counts.compared)} pairs were compared"
        + ("." if enough else f"; it takes {say.count(criteria.min_samples)}."),
    )


def _coverage(criteria: Criteria, counts: PairCounts, why_not: Sequence[tuple[str, int]]) -> Check:
    if counts.coverage >= criteria.min_coverage:
        sentence = f"{say.percent(counts.coverage)} of the pairs could be compared."
        return Check("coverage", "met", counts.coverage, criteria.min_coverage, sentence)
    reasons = ", ".join(f"{say.count(n)} {why}" for why, n in why_not if n)
    sentence = f"Only {say.percent(counts.coverage)} of the pairs could be compared: {reasons}."
    return Check("coverage", "open", counts.coverage, criteria.min_coverage, sentence)


def _disagreement(criteria: Criteria, counts: PairCounts, above: Interval) -> Check:
    bound = criteria.max_above_noise
    # What wasn't compared may all have agreed: harm is certain only if there is harm even then.
    least = above.low * counts.coverage
    state: State = "open"
    if _unrelated(counts, above):
        sentence = (
            "The primary differs from itself in far more of its answers than the candidate differs "
            "from it: noise and pairs are not of the same kind of requests."
        )
        return Check("disagreement", state, above.estimate, bound, sentence, above)
    if counts.compared and least > bound:
        state = "missed"
    elif counts.compared and above.high <= bound:
        state = "met"
    beyond = (
        "more of the candidate’s answers differ than the primary’s own noise explains"
        if counts.with_noise
        else "of the candidate’s answers differ (no noise floor was measured)"
    )
    sentence = (
        f"{say.points(above.estimate)} {beyond}: the {say.level(above)} interval is "
        f"{say.point_range(above)}, and at most {say.points(bound)} are allowed."
    )
    if state == "open" and counts.compared:
        sentence += _how_many(counts.compared, above, bound)
    return Check("disagreement", state, above.estimate, bound, sentence, above)


def _unrelated(counts: PairCounts, above: Interval) -> bool:
    """Whether the noise can't be that of the pairs.

    Two answers with the same noise differ twice as often as one of them from a third without any,
    so a candidate may come out below the noise, by up to half of it.
    """
    if not counts.with_noise:
        return False
    return above.high < -0.5 * counts.noise_differs / counts.with_noise


def _how_many(compared: int, interval: Interval, bound: float) -> str:
    """An interval's width goes with the square root of the number of pairs."""
    room = bound - interval.estimate
    if room <= 0:
        return ""
    factor = ((interval.high - interval.estimate) / room) ** 2
    if not 1.0 < factor < 1000.0:
        return ""
    digits = 10 ** max(0, len(str(ceil(compared * factor))) - 2)
    wanted = ceil(compared * factor / digits) * digits
    return f" If it stays so, about {say.count(wanted)} pairs would be enough."


def _segments(criteria: Criteria, dimensions: Sequence[Dimension]) -> Check:
    found = [(each.name, s) for each in dimensions for s in each.segments if s.flagged]
    bound = criteria.max_above_noise
    if not found:
        sentence = f"No segment surely differs by more than {say.points(bound)}."
        return Check("segments", "met", 0, 0, sentence)
    name, worst = max(found, key=lambda item: item[1].corrected.low)
    more = f", and {say.count(len(found) - 1)} more" if len(found) > 1 else ""
    what = f"{name} {worst.value if len(worst.value) <= 80 else worst.value[:79] + '…'}"
    sentence = (
        f"Some segments surely differ by more than {say.points(bound)}: {what} by "
        f"{say.points(worst.above_noise.estimate)}{more}."
    )
    return Check("segments", "missed", len(found), 0, sentence)


def _errors(criteria: Criteria, errors: Errors) -> Check:
    bound, delta = criteria.max_error_delta, errors.delta
    state: State = "open"
    if errors.known and delta.low > bound:
        state = "missed"
    elif errors.known and delta.high <= bound:
        state = "met"
    worse = "more" if delta.estimate >= 0 else "fewer"
    sentence = (
        f"The candidate fails on {say.points(abs(delta.estimate))} {worse} of the requests than "
        f"the primary: the {say.level(delta)} interval is {say.point_range(delta)}, and at most "
        f"{say.points(bound)} are allowed."
    )
    if state == "open" and errors.known:
        sentence += _how_many(errors.known, delta, bound)
    return Check("error_rate", state, delta.estimate, bound, sentence, delta)


def _latencies(criteria: Criteria, ratios: Sequence[tuple[float, Interval]]) -> list[Check]:
    known = dict(ratios)
    return [_latency(q, bound, known.get(q)) for q, bound in criteria.max_latency_ratios]


def _latency(q: float, bound: float, interval: Interval | None) -> Check:
    name = f"latency_p{q * 100:g}"
    if interval is None:
        return Check(name, "open", 0.0, bound, f"No latencies are known (p{q * 100:g}).")
    state: State = "open"
    if interval.low > bound:
        state = "missed"
    elif interval.high <= bound:
        state = "met"
    few = " That takes more pairs." if interval.high == inf else ""
    sentence = (
        f"The candidate’s p{q * 100:g} is {say.ratio(interval.estimate)} the primary’s: the "
        f"{say.level(interval)} interval is {say.ratio_range(interval)}, and at most "
        f"{say.ratio(bound)} is allowed.{few}"
    )
    return Check(name, state, interval.estimate, bound, sentence, interval)
