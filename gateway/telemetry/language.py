"""What clients of language models wait for, and the tokens that their requests took.

Adapters are addressed as `base:adapter`, and the label `model` is the base.
"""

from gateway.telemetry.families import family, histogram_family
from protos import discovery_pb2 as pb
from protos.histogram import Histogram
from protos.timeline import Timeline

MOST = 1000  # models and adapters that have series of their own
OTHER = "other"

FIRST = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    *(10.0, 30.0, 60.0),
)
BETWEEN = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
LABELS = ("model", "adapter")


class _Series:
    """Of one model or adapter; tokens are those of all its requests."""

    __slots__ = ("between", "cached", "completion", "first", "prompt")

    def __init__(self) -> None:
        self.first = Histogram(FIRST)
        self.between = Histogram(BETWEEN)
        self.prompt = self.cached = self.completion = 0


class LanguageMetrics:
    """What a worker sees of requests that took tokens."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}

    def observe(self, model: str, timeline: Timeline, now: float) -> None:
        """Counts a request that was over by `now`; one without tokens counts for nothing.

        A stream's tokens come as its client reads them. Their distances are told by their mean: one
        for each stream rather than one for each token.
        """
        used = timeline.used
        tokens = used.completion_tokens
        if not tokens and not used.prompt_tokens:
            return
        series = self._series.get(model) or self._make(model)
        series.prompt += used.prompt_tokens
        series.cached += used.cached_tokens
        series.completion += tokens
        answered = timeline.answered
        if timeline.streaming and answered:
            series.first.observe(answered - timeline.start)
            if tokens > 1:
                series.between.observe((now - answered) / (tokens - 1))

    def families(self) -> list[pb.MetricFamily]:
        named = {_split(name): series for name, series in list(self._series.items())}
        tokens: dict[tuple[str, ...], float] = {
            (*key, kind): getattr(series, kind)
            for key, series in named.items()
            for kind in ("prompt", "cached", "completion")
        }
        return [
            histogram_family(
                "penstock_time_to_first_token_seconds",
                "From a streamed request's head to its answer's first part.",
                LABELS,
                {key: series.first for key, series in named.items()},
            ),
            histogram_family(
                "penstock_inter_token_latency_seconds",
                "Mean time from one token of a stream to the next.",
                LABELS,
                {key: series.between for key, series in named.items()},
            ),
            family(
                "counter",
                "penstock_tokens",
                "Tokens of prompts, those of them that the model had cached, and of answers.",
                (*LABELS, "kind"),
                tokens,
            ),
        ]

    def _make(self, model: str) -> _Series:
        if len(self._series) >= MOST:
            model = OTHER
        return self._series.setdefault(model, _Series())


def _split(name: str) -> tuple[str, str]:
    model, _, adapter = name.partition(":")
    return model, adapter
