"""A gateway that tells nobody anything: no metrics of requests, no traces, no log of requests.

    python -m benchmarks.silent gateway --config FILE

For comparison only, so it is no option of the product's: what requests note for themselves and for
each other (marks, arms, usage, the audit log) stays as it is.
"""

from typing import Any

from gateway.cli import main
from gateway.telemetry.language import LanguageMetrics
from gateway.telemetry.request_log import RequestLog
from gateway.telemetry.requests import RequestMetrics
from gateway.tracing.tracer import Tracer


def _nothing(*_: Any, **__: Any) -> None:
    return None


def silence() -> None:
    for counts in (RequestMetrics, LanguageMetrics):
        counts.observe = _nothing  # type: ignore[assignment, method-assign]
    RequestLog.__call__ = _nothing  # type: ignore[assignment, method-assign]
    Tracer.over = _nothing  # type: ignore[assignment, method-assign]
    Tracer.begin = lambda self, timeline: timeline.traceparent  # type: ignore[method-assign]


if __name__ == "__main__":
    silence()
    main()
