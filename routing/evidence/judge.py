"""Whether the evidence so far is for or against a candidate, metric by metric."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from protos.route.rollout import Analysis, Metric, MetricName
from routing.evidence.counts import ArmCounts, PairCounts
from routing.evidence.interval import Interval
from routing.evidence.sequential import difference, disagreement_sequence, ratio_of_quantiles

Verdict = Literal["pass", "fail", "inconclusive"]

# Below it what couldn't be compared could hide any difference.
MIN_COVERAGE = 0.95

_QUANTILES: dict[MetricName, float] = {"latency_p50": 0.5, "latency_p90": 0.9, "latency_p99": 0.99}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one metric. `interval` is of how much worse the candidate is, as `bound` is.

    - `fail`: all of the interval lies above the bound, so that there is harm;
    - `pass`: all of it lies at or below the bound, so that there is none (non-inferiority);
    - `inconclusive`: the bound lies in it, or there is too little to go by.

    Differences are shares (0.005 is 0.5 pp), latencies ratios. `reason` is a sentence with figures.
    """

    metric: MetricName
    verdict: Verdict
    interval: Interval
    bound: float
    reason: str


def judge(
    metric: Metric,
    candidate: ArmCounts,
    baseline: ArmCounts,
    pairs: PairCounts,
    *,
    min_samples: int,
    alpha: float,
) -> Finding:
    """One metric over all evidence since the rollout began.

    It may be asked at every request: over the whole rollout a candidate within the bound fails, and
    one beyond it passes, with a probability of at most `alpha`. Harm is believed as soon as it is
    certain; a pass takes `min_samples` of each arm, or as many compared pairs.
    """
    if metric.name == "disagreement":
        return _disagreement(metric, pairs, min_samples, alpha)
    if metric.name == "error_rate":
        interval = difference(
            candidate.errors, candidate.requests, baseline.errors, baseline.requests, alpha
        )
        seen = (candidate.requests, baseline.requests)
        figures = (
            f"errors are {_percent(candidate.errors, candidate.requests)} of the candidate's "
            f"{candidate.requests:,} requests and {_percent(baseline.errors, baseline.requests)} "
            f"of the baseline's {baseline.requests:,} requests"
        )
    else:
        q = _QUANTILES[metric.name]
        interval = ratio_of_quantiles(candidate.latency, baseline.latency, q, alpha)
        seen = (candidate.latency.total, baseline.latency.total)
        figures = (
            f"the candidate's p{q * 100:g} is {_milliseconds(candidate.latency.quantile(q))} over "
            f"{seen[0]:,} requests and the baseline's "
            f"{_milliseconds(baseline.latency.quantile(q))} over {seen[1]:,}"
        )
    if not min(seen):
        which = "candidate" if not seen[0] else "baseline"
        unit = "requests" if metric.name == "error_rate" else "answers"
        return Finding(
            metric.name,
            "inconclusive",
            interval,
            metric.bound,
            f"{metric.name}: the {which} has no {unit} to go by yet",
        )
    return _finding(metric, interval, figures, min(seen), min_samples, "requests of each arm")


def judge_all(
    analysis: Analysis, candidate: ArmCounts, baseline: ArmCounts, pairs: PairCounts
) -> tuple[Finding, ...]:
    """Every metric of the analysis, each at an equal part of what `confidence` leaves.

    So `confidence` is that of all of them together (Bonferroni), however often they are looked at.
    """
    alpha = (1 - analysis.confidence) / len(analysis.metrics)
    return tuple(
        judge(metric, candidate, baseline, pairs, min_samples=analysis.min_samples, alpha=alpha)
        for metric in analysis.metrics
    )


def overall(findings: Iterable[Finding]) -> Verdict:
    """One failure fails; all must pass to pass; no findings are inconclusive."""
    verdicts = {finding.verdict for finding in findings}
    if "fail" in verdicts:
        return "fail"
    return "pass" if verdicts == {"pass"} else "inconclusive"


def _disagreement(metric: Metric, pairs: PairCounts, min_samples: int, alpha: float) -> Finding:
    interval = disagreement_sequence(pairs, alpha)

    def inconclusive(why: str) -> Finding:
        return Finding(metric.name, "inconclusive", interval, metric.bound, f"{metric.name}: {why}")

    if not pairs.compared:
        return inconclusive("no answers have been compared yet")
    if pairs.coverage < MIN_COVERAGE:
        return inconclusive(
            f"only {pairs.compared:,} of {pairs.sampled:,} mirrored requests could be compared, "
            f"{pairs.coverage:.1%}, and it takes {MIN_COVERAGE:.0%}"
        )
    if not pairs.with_noise and pairs.compared < min_samples:
        # Until then the first noise may be still to come, and a model's own noise isn't harm.
        return inconclusive(
            f"{pairs.compared:,} of {min_samples:,} pairs are compared, none with noise measured"
        )
    figures = (
        f"{_percent(pairs.candidate_differs, pairs.compared)} of {pairs.compared:,} answers differ "
        "from the primary's, "
    )
    if pairs.with_noise:
        noise = f"{_percent(pairs.noise_differs, pairs.with_noise)} of its own {pairs.with_noise:,}"
    else:
        noise = "no noise was measured, so it is taken to be none"
    return _finding(metric, interval, figures + noise, pairs.compared, min_samples, "pairs")


def _finding(
    metric: Metric, interval: Interval, figures: str, seen: int, min_samples: int, unit: str
) -> Finding:
    bound = _worse(metric, metric.bound)
    if metric.max_ratio is None:
        between = f"{interval.low * 100:+.2f} to {_worse(metric, interval.high)}"
    else:
        between = f"{interval.low:.2f} to {_worse(metric, interval.high)}"
    verdict: Verdict
    if interval.low > metric.bound:
        verdict, so = "fail", f"all of it above {bound}"
    elif seen < min_samples:
        verdict, so = "inconclusive", f"only {seen:,} of {min_samples:,} {unit} so far"
    elif interval.high <= metric.bound:
        verdict, so = "pass", f"none of it above {bound}"
    else:
        verdict, so = "inconclusive", f"which leaves {bound} open"
    reason = f"{metric.name}: {figures}: {between} at {interval.level:.1%} confidence, {so}"
    return Finding(metric.name, verdict, interval, metric.bound, reason)


def _worse(metric: Metric, value: float) -> str:
    if metric.max_ratio is not None:
        return f"{value:.2f} times"
    return f"{value * 100:+.2f} pp"


def _percent(count: int, n: int) -> str:
    return f"{count / n:.2%}" if n else "none"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
