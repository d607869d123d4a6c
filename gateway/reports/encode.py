"""Reports as JSON for programs, in a shape that only grows while its version stays.

Shares are fractions of 1, times are seconds, dates RFC 3339. What isn't finite is null. Texts are
as they were recorded: whoever shows them escapes them.
"""

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

from gateway.reports.wording import precise
from routing.evidence.histogram import Histogram, upper_bound
from routing.evidence.interval import Interval
from routing.evidence.latency import LatencySummary
from routing.shadow.figures import Latency
from routing.shadow.record import PairRecord, Side
from routing.shadow.report import Report
from routing.shadow.segments import Dimension, Segment

SCHEMA = "penstock/shadow-report/v1"


def encode(reports: Sequence[Report]) -> str:
    """One JSON object: `schema` and `reports`."""
    value = {"schema": SCHEMA, "reports": [_report(each) for each in reports]}
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _report(report: Report) -> dict[str, Any]:
    samples, differ, errors = report.samples, report.disagreement, report.errors
    return {
        "route": report.route,
        "mirror": report.mirror,
        "candidate": {"model": report.model, "version": report.version},
        "primaries": _counts(report.primaries, "primary"),
        "comparisons": _counts(report.kinds, "kind"),
        "since": precise(report.since),
        "until": precise(report.now),
        "verdict": {
            "decision": report.verdict.decision,
            "reason": report.verdict.reason,
            "checks": [
                {
                    "name": check.name,
                    "state": check.state,
                    "value": check.value,
                    "bound": check.bound,
                    "interval": _interval(check.interval),
                    "sentence": check.sentence,
                }
                for check in report.verdict.checks
            ],
            "criteria": report.criteria.source,
        },
        "samples": {
            "sampled": samples.sampled,
            "compared": samples.compared,
            "dropped": samples.dropped,
            "failed": samples.failed,
            "incomparable": samples.incomparable,
            "primary_failed": samples.primary_failed,
            "with_noise": samples.with_noise,
            "coverage": samples.coverage,
            "first": precise(samples.first),
            "last": precise(samples.last),
            "reasons": _counts(samples.reasons, "reason"),
        },
        "disagreement": {
            "raw": _interval(differ.raw),
            "noise": _interval(differ.noise),
            "above_noise": _interval(differ.above_noise),
            "agreement_above_noise": _interval(differ.agreement),
            "reasons": _counts(differ.reasons, "reason"),
        },
        "segments": [_dimension(each) for each in report.dimensions],
        "errors": {
            "known": errors.known,
            "primary": _interval(errors.primary),
            "candidate": _interval(errors.candidate),
            "delta": _interval(errors.delta),
            "kinds": _counts(errors.kinds, "kind"),
        },
        "latency": _latency(report.latency),
        "service_time": _latency(report.service_time),
        "first_part": _latency(report.first_part),
        "sizes": {
            "primary_mean_bytes": report.sizes.primary_mean,
            "candidate_mean_bytes": report.sizes.candidate_mean,
            "differ": report.sizes.differ,
        },
        "scores": None
        if report.scores is None
        else {
            "sample": report.scores.sample,
            "ks": {"statistic": report.scores.ks.statistic, "p_value": report.scores.ks.p_value},
            "psi": _interval(report.scores.psi),
        },
        "measures": [
            {
                "name": each.name,
                "count": each.count,
                "not_finite": each.not_finite,
                "min": each.low,
                "p50": each.p50,
                "p99": each.p99,
                "max": each.high,
            }
            for each in report.measures
        ],
        "timeline": [
            {
                "start": precise(each.start),
                "seconds": each.seconds,
                "sampled": each.sampled,
                "compared": each.compared,
                "agreement": _interval(each.agreement),
                "own_agreement": _interval(each.own_agreement),
            }
            for each in report.timeline
        ],
        "worst": [_pair(each) for each in report.worst],
    }


def _interval(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "level": interval.level,
    }


def _counts(counts: Sequence[tuple[str, int]], name: str) -> list[dict[str, str | int]]:
    return [{name: text, "count": n} for text, n in counts]


def _dimension(dimension: Dimension) -> dict[str, Any]:
    return {
        "by": dimension.name,
        "distinct": dimension.distinct,
        "at_least": dimension.at_least,
        "segments": [_segment(each) for each in dimension.segments],
        "other": None if dimension.rest is None else _segment(dimension.rest),
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "value": segment.value,
        "sampled": segment.sampled,
        "compared": segment.compared,
        "differ": segment.differ,
        "above_noise": _interval(segment.above_noise),
        "corrected": _interval(segment.corrected),
        "flagged": segment.flagged,
    }


def _latency(latency: Latency | None) -> dict[str, Any] | None:
    if latency is None:
        return None
    return {
        "sample": latency.sample,
        "primary": _summary(latency.comparison.primary, latency.primary),
        "candidate": _summary(latency.comparison.candidate, latency.candidate),
        "median_delta": _interval(latency.comparison.delta),
        "ratios": [{"quantile": q, **(_interval(r) or {})} for q, r in latency.ratios],
    }


def _summary(summary: LatencySummary, histogram: Histogram) -> dict[str, Any]:
    return {
        "mean": summary.mean,
        "p50": summary.p50,
        "p90": summary.p90,
        "p99": summary.p99,
        "histogram": [{"le": upper_bound(i), "count": n} for i, n in histogram.items()],
    }


def _pair(record: PairRecord) -> dict[str, Any]:
    return {
        "at": precise(record.at),
        "tenant": record.tenant,
        "trace_id": record.trace_id,
        "request_id": record.request_id,
        "distance": record.outcome.distance,
        "reason": record.outcome.reason,
        "label": record.outcome.label,
        "input_shape": record.shape,
        "noise_differs": None if record.noise is None else not record.noise.agrees,
        "primary": _side(record.primary),
        "candidate": _side(record.candidate),
        "measures": dict(record.outcome.measures),
        "payloads": record.payloads,
    }


def _side(side: Side) -> dict[str, float]:
    return {"seconds": side.seconds, "bytes": side.bytes, "parts": side.parts}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
