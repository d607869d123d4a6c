"""The first executions: measured on the second run, held against the signature."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from backends.batching.bucket import bucket_of
from backends.batching.job import BatchPolicy
from backends.models.samples import Sample
from backends.models.warm_up import Unfit, execute, rows_are_independent
from backends.runtime import Arrays
from protos.values import Signature, TensorSpec
from tests.backends.numpy_runtime import NumpyRuntime

SIGNATURE = Signature(
    "test", (TensorSpec("x", "FP32", (-1, 4)),), (TensorSpec("y", "FP32", (-1, 4)),), 8
)
POLICY = BatchPolicy(8)
SAMPLE = Sample(3, {"x": np.random.default_rng(1).standard_normal((3, 4), np.float32)}, False)


def runtime(model: Callable[[Arrays], Arrays]) -> NumpyRuntime:
    return NumpyRuntime(SIGNATURE, model)


def test_the_second_run_is_measured() -> None:
    times = iter([10.0, 10.5])
    model = runtime(lambda inputs: {"y": inputs["x"]})
    measured = execute(model, SIGNATURE, POLICY, SAMPLE, lambda: next(times))
    assert model.batches == [3, 3]
    assert (measured.rows, measured.seconds) == (3, 0.5)
    assert measured.bucket == bucket_of(SAMPLE.inputs, POLICY)[0]


def test_of_a_stream_the_first_part_is_measured_and_the_rest_left() -> None:
    closed = []

    def model(inputs: Arrays) -> Arrays:
        closed.append(True)
        return {"y": inputs["x"]}

    signature = replace(SIGNATURE, decoupled=True, max_batch_size=0)
    times = iter([1.0, 1.25])
    measured = execute(runtime(model), signature, BatchPolicy(), SAMPLE, lambda: next(times))
    assert (len(closed), measured.seconds) == (1, 0.25)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, 'gave no output "y"'),
        ({"y": np.zeros((3, 4))}, 'output "y" is float64, its signature says FP32'),
        ({"y": np.zeros((3, 5), np.float32)}, r'"y" has shape \[3, 5\], its signature says'),
        ({"y": np.zeros((2, 4), np.float32)}, '"y" has 2 rows for 3 rows of input'),
    ],
)
def test_what_the_signature_does_not_say_is_unfit(outputs: Arrays, message: str) -> None:
    with pytest.raises(Unfit, match=message):
        execute(runtime(lambda inputs: outputs), SIGNATURE, POLICY, SAMPLE)


@pytest.mark.parametrize(
    ("model", "independent"),
    [
        (lambda x: x * 2, True),
        (lambda x: x + np.float32(1e-6) * len(x), True),
        (lambda x: x - x.mean(0), False),
        (lambda x: np.cumsum(x, 0), False),
        (lambda x: x[:1], False),
    ],
    ids=["scaled", "rounded differently", "centred", "cumulated", "reduced"],
)
def test_rows_that_depend_on_each_other_are_found(
    model: Callable[[np.ndarray], np.ndarray], independent: bool
) -> None:
    found = runtime(lambda inputs: {"y": model(inputs["x"])})  # type: ignore[arg-type]
    assert rows_are_independent(found, SIGNATURE, SAMPLE) is independent


@pytest.mark.parametrize(("datatype", "dtype"), [("BF16", np.uint16), ("INT64", np.int64)])
def test_independence_is_seen_in_every_kind_of_output(datatype: str, dtype: type) -> None:
    signature = replace(SIGNATURE, outputs=(TensorSpec("y", datatype, (-1, 4)),))

    def own(inputs: Arrays) -> Arrays:
        return {"y": (inputs["x"] > 0).astype(dtype) * 0x3F80}

    def shared(inputs: Arrays) -> Arrays:
        return {"y": np.full((len(inputs["x"]), 4), 0x3F80 + len(inputs["x"]) * 0x80, dtype)}

    assert rows_are_independent(runtime(own), signature, SAMPLE)
    assert not rows_are_independent(runtime(shared), signature, SAMPLE)
