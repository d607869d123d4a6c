"""What models have done, as a beat tells it."""

from collections.abc import Iterator, Mapping

from backends.batching.job import ModelKey
from backends.batching.statistics import ModelStatistics
from protos import discovery_pb2 as pb
from protos.histogram import Histogram


def activity(statistics: Mapping[ModelKey, ModelStatistics]) -> Iterator[pb.ModelActivity]:
    """Those of models that have done nothing are left out: a backend may have thousands."""
    for (model, version), told in statistics.items():
        if told.execution_count or told.success.count or told.fail.count:
            yield _message(model, version, told)


def _message(model: str, version: str, told: ModelStatistics) -> pb.ModelActivity:
    return pb.ModelActivity(
        model=model,
        version=version,
        successes=told.success.count,
        failures=told.fail.count,
        batches=told.execution_count,
        rows=told.inference_count,
        padding_rows=told.padding_rows,
        deadline_misses=told.deadline_misses,
        dispatches={reason.value: count for reason, count in told.dispatches.items()},
        batch_rows=_distribution(told.batch_rows),
        queue=_distribution(told.queue_times),
        compute=_distribution(told.compute_times),
        predicted_seconds=told.predicted.ns / 1e9,
        actual_seconds=told.actual.ns / 1e9,
        prediction_error_seconds=told.prediction_error.ns / 1e9,
    )


def _distribution(histogram: Histogram) -> pb.Distribution:
    return pb.Distribution(bounds=histogram.bounds, counts=histogram.counts, sum=histogram.sum)
