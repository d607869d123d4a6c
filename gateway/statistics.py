"""Adds up the statistics of a model version over the instances that serve it."""

from protos import open_inference_pb2 as oip


def add(total: oip.ModelStatistics, more: oip.ModelStatistics) -> None:
    """Adds `more` to `total`, which changes."""
    total.last_inference = max(total.last_inference, more.last_inference)
    total.inference_count += more.inference_count
    total.execution_count += more.execution_count
    for field in oip.InferStatistics.DESCRIPTOR.fields_by_name:
        _add_duration(getattr(total.inference_stats, field), getattr(more.inference_stats, field))
    sizes = {batch.batch_size: batch for batch in total.batch_stats}
    for batch in more.batch_stats:
        known = sizes.get(batch.batch_size)
        if known is None:
            total.batch_stats.append(batch)
            continue
        for field in ("compute_input", "compute_infer", "compute_output"):
            _add_duration(getattr(known, field), getattr(batch, field))
    total.memory_usage.extend(more.memory_usage)


def _add_duration(total: oip.StatisticDuration, more: oip.StatisticDuration) -> None:
    total.count += more.count
    total.ns += more.ns
