"""How a new arm gets its share: steps, what is looked at, and what happens then."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from protos.quantities import Duration
from protos.route.match import Name
from protos.route.mirror import Compare, Percent
from protos.settings import Settings
from protos.shares import Points

MetricName = Literal["error_rate", "latency_p50", "latency_p90", "latency_p99", "disagreement"]
RATIO_METRICS = ("latency_p50", "latency_p90", "latency_p99")


class Until(Settings):
    """When enough has been mirrored: compared pairs, and at the latest after `for`."""

    samples: Annotated[int, Field(ge=1)]
    at_most: Duration | None = Field(default=None, alias="for")


class MirrorStep(Settings):
    """Copies so much of the traffic to the candidate until enough answers were compared.

    `compare` says how, unless the route mirrors the candidate's model and version already.
    """

    percent: Percent
    until: Until
    compare: Compare | None = None


class AnalysisStep(Settings):
    """Waits so long with the metrics in view; goes on when they pass."""

    at_least: Duration = Field(alias="for")


class PauseStep(Settings):
    """Waits for `penstock rollout resume`, or for so long."""

    at_least: Duration | None = Field(default=None, alias="for")


class Step(Settings):
    """One of `mirror`, `setWeight` (percent of the requests), `analysis` and `pause`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    mirror: MirrorStep | None = None
    set_weight: Percent | None = None
    analysis: AnalysisStep | None = None
    pause: PauseStep | None = None

    @model_validator(mode="after")
    def _one(self) -> "Step":
        if len(self.model_fields_set) != 1:
            raise ValueError("should have one of mirror, setWeight, analysis and pause")
        (name,) = self.model_fields_set
        if getattr(self, name) is None:
            raise ValueError(f"should say what to do: {name} is empty")
        return self


class Metric(Settings):
    """A bound on how much worse than the baseline the candidate may be.

    `maxDelta` for rates, `maxRatio` for latencies, `maxAboveNoise` for disagreement.
    """

    name: MetricName
    max_delta: Points | None = None
    max_ratio: Annotated[float, Field(ge=1.0, le=1000.0)] | None = None
    max_above_noise: Points | None = None

    @model_validator(mode="after")
    def _fitting(self) -> "Metric":
        wanted = {"error_rate": "max_delta", "disagreement": "max_above_noise"}.get(
            self.name, "max_ratio"
        )
        given = {
            name
            for name in ("max_delta", "max_ratio", "max_above_noise")
            if getattr(self, name) is not None
        }
        if given != {wanted}:
            alias = type(self).model_fields[wanted].alias
            raise ValueError(f"{self.name} takes {alias} and nothing else")
        return self

    @property
    def bound(self) -> float:
        return self.max_delta or self.max_ratio or self.max_above_noise or 0.0


class Analysis(Settings):
    """`baseline` is measured at the same time as the candidate, never in the past.

    `confidence` is that of all metrics together over the whole rollout, however often they are
    looked at.
    """

    baseline: Name
    min_samples: int = Field(default=500, ge=1)
    metrics: tuple[Metric, ...] = Field(min_length=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    on_fail: Literal["rollback", "hold"] = "rollback"
    on_inconclusive: Literal["hold", "rollback", "proceed"] = "hold"


class Rollout(Settings):
    """`candidate` is the arm that grows; it may be left out where there is only one other arm.

    While it runs the candidate has the step's weight in percent, before the first `setWeight` none,
    after the last step all; the other arms share the rest in proportion to their weights.
    """

    steps: tuple[Step, ...] = Field(min_length=1)
    analysis: Analysis
    candidate: Name | None = None
