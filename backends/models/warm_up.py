"""A model's first executions: they make it fast, show that it works, and measure what it costs."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backends.batching.bucket import bucket_of
from backends.batching.job import BatchPolicy, Bucket
from backends.models.samples import Sample
from backends.runtime import Arrays, Runtime
from protos.datatypes import DATATYPES, Array
from protos.values import Signature
from protos.wording import quote

# How far a row's outputs may move when others are executed with it: kernels differ by batch size,
# and half precision has three digits.
_RTOL = 2e-2
_ATOL = 1e-3


class Unfit(Exception):
    """What the model gave is not what its signature says."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One executed size, for the cost table."""

    bucket: Bucket
    rows: int
    seconds: float


def execute(
    runtime: Runtime,
    signature: Signature,
    policy: BatchPolicy,
    sample: Sample,
    clock: Callable[[], float] = time.perf_counter,
) -> Measurement:
    """Runs a sample twice and times the second run; on the device's thread.

    The first run compiles, allocates and captures. Raises Unfit, and what the model raises.
    """
    if signature.decoupled:
        return _stream(runtime, policy, sample, clock)
    _check(runtime.execute(runtime.stage(sample.inputs)), signature, sample.rows)
    began = clock()
    runtime.execute(runtime.stage(sample.inputs))
    seconds = clock() - began
    bucket, _ = bucket_of(sample.inputs, policy)
    return Measurement(bucket, sample.rows, seconds)


def rows_are_independent(runtime: Runtime, signature: Signature, sample: Sample) -> bool:
    """Whether each row's outputs are the same alone and among others: what batching relies on."""
    together = runtime.execute(runtime.stage(sample.inputs))
    for row in (0, sample.rows - 1):
        inputs = {name: array[row : row + 1] for name, array in sample.inputs.items()}
        alone = runtime.execute(runtime.stage(inputs))
        for spec in signature.outputs:
            whole, own = together[spec.name], alone[spec.name]
            if len(whole) != sample.rows or len(own) != 1:
                return False
            if not _same(whole[row], own[0], spec.datatype):
                return False
    return True


def _stream(
    runtime: Runtime, policy: BatchPolicy, sample: Sample, clock: Callable[[], float]
) -> Measurement:
    """Up to the first part: a whole stream may be long, and what follows is more of the same."""
    began = clock()
    parts = runtime.stream(sample.inputs, {})
    next(parts, None)
    seconds = clock() - began
    close = getattr(parts, "close", None)
    if close is not None:
        close()
    bucket, _ = bucket_of(sample.inputs, policy)
    return Measurement(bucket, 1, seconds)


def _check(outputs: Arrays, signature: Signature, rows: int) -> None:
    for spec in signature.outputs:
        array = outputs.get(spec.name)
        if array is None:
            raise Unfit(f"the model gave no output {quote(spec.name)}")
        if array.dtype != DATATYPES[spec.datatype].dtype:
            raise Unfit(
                f"output {quote(spec.name)} is {array.dtype}, its signature says {spec.datatype}"
            )
        fits = array.ndim == len(spec.shape) and all(
            want in (-1, have) for have, want in zip(array.shape, spec.shape, strict=True)
        )
        if not fits:
            raise Unfit(
                f"output {quote(spec.name)} has shape {list(array.shape)}, its signature says "
                f"{list(spec.shape)}"
            )
        if signature.max_batch_size and array.shape[0] != rows:
            raise Unfit(
                f"output {quote(spec.name)} has {array.shape[0]} rows for {rows} rows of input; "
                "set batching.max to 0 if the first dimension is something else"
            )


def _same(left: Array, right: Array, datatype: str) -> bool:
    if left.shape != right.shape:
        return False
    if datatype == "BF16":
        left, right = ((bits.astype(np.uint32) << 16).view(np.float32) for bits in (left, right))
    elif DATATYPES[datatype].kind != "float":
        # A label may tip over where two scores are equal; most must agree.
        return left.size == 0 or float(np.mean(left == right)) >= 0.5
    scale = float(np.max(np.abs(left), initial=1.0, where=np.isfinite(left)))
    return bool(np.allclose(left, right, _RTOL, _ATOL * scale, equal_nan=True))
