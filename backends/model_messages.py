"""A model's configuration and statistics as the messages that Triton's clients read."""

from backends.batching.job import ModelKey
from backends.batching.statistics import BatchStatistics, Duration, ModelStatistics
from backends.models.table import ReadyEntry
from protos import open_inference_pb2 as pb
from protos.oip_metadata import data_type
from protos.values import Signature, TensorSpec


def config_message(entry: ReadyEntry) -> pb.ModelConfig:
    """The configuration in force; with batching, `dims` leave out the rows, as Triton's do."""
    name, _ = entry.key
    signature, policy = entry.signature, entry.policy
    config = pb.ModelConfig(
        name=name,
        platform=signature.platform,
        backend=signature.platform.partition("_")[0],
        max_batch_size=signature.max_batch_size,
    )
    for spec in signature.inputs:
        config.input.add(
            name=spec.name,
            data_type=pb.DataType.Name(data_type(spec.datatype)),
            dims=_dims(spec, signature),
            optional=spec.optional,
        )
    for spec in signature.outputs:
        config.output.add(
            name=spec.name,
            data_type=pb.DataType.Name(data_type(spec.datatype)),
            dims=_dims(spec, signature),
        )
    if policy.max_rows:
        batching = config.dynamic_batching
        batching.preferred_batch_size.extend(policy.sizes)
        batching.max_queue_delay_microseconds = int(policy.max_delay * 1e6)
        batching.priority_levels = policy.priority_levels
        batching.default_priority_level = policy.default_priority
    config.model_transaction_policy.decoupled = signature.decoupled
    return config


def _dims(spec: TensorSpec, signature: Signature) -> tuple[int, ...]:
    return spec.shape[1:] if signature.max_batch_size else spec.shape


def statistics_message(key: ModelKey, statistics: ModelStatistics) -> pb.ModelStatistics:
    """The statistics since the version was loaded."""
    name, version = key
    message = pb.ModelStatistics(
        name=name,
        version=version,
        last_inference=statistics.last_inference_ms,
        inference_count=statistics.inference_count,
        execution_count=statistics.execution_count,
        inference_stats=pb.InferStatistics(
            success=_duration(statistics.success),
            fail=_duration(statistics.fail),
            queue=_duration(statistics.queue),
            compute_input=_duration(statistics.compute_input),
            compute_infer=_duration(statistics.compute_infer),
            compute_output=_duration(statistics.compute_output),
        ),
    )
    for rows, batches in sorted(statistics.batches.items()):
        message.batch_stats.append(_batches(rows, batches))
    return message


def _batches(rows: int, batches: BatchStatistics) -> pb.InferBatchStatistics:
    return pb.InferBatchStatistics(
        batch_size=rows,
        compute_input=_duration(batches.compute_input),
        compute_infer=_duration(batches.compute_infer),
        compute_output=_duration(batches.compute_output),
    )


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=duration.ns)
