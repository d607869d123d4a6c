"""The block `telemetry` of penstock.yaml, as far as traces go."""

from typing import Annotated

from pydantic import AfterValidator

from gateway.telemetry.settings import LogSettings
from protos.otlp import Collector
from protos.quantities import Duration, seconds
from protos.settings import Settings
from protos.shares import PerTime, Rate, Share, share


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than zero")
    return value


class TelemetrySettings(Settings):
    """What is told to whom about requests; without a `collector` no traces are kept.

    `sample` is the share of traces that begin here; whoever calls with a `traceparent` has decided
    for theirs. Requests that take longer than `slow` (streams: until their first part) or fail
    with 5xx are traced all the same, from what they noted: at most `retrospective` a worker.
    """

    collector: Collector | None = None
    sample: Share = share("1%")
    slow: Annotated[Duration, AfterValidator(_positive)] = seconds("1s")
    retrospective: PerTime = Rate(10.0, 1.0)
    logs: LogSettings = LogSettings()
