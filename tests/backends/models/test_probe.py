"""An idle device is asked; a busy one, or one that was asked in vain, is not asked again."""

import threading

import numpy as np
import pytest

from backends.batching.job import BatchPolicy
from backends.models.config import ModelConfig
from backends.models.loading import Model
from backends.models.probe import Probe
from backends.models.samples import Sample
from backends.runtime import Arrays
from protos.values import Signature
from tests.backends.inline_device import InlineDevice
from tests.backends.numpy_runtime import NumpyRuntime

SIGNATURE = Signature("test", (), ())
SAMPLE = Sample(1, {"x": np.zeros((1, 1))}, guessed=False)


def model(runtime: NumpyRuntime, *, stall_after: float = 5.0, samples: tuple = (SAMPLE,)) -> Model:  # type: ignore[type-arg]
    policy = BatchPolicy(stall_after=stall_after)
    return Model(("m", "1"), "r", runtime, SIGNATURE, policy, ModelConfig(), 0, samples)


@pytest.fixture
def device():  # type: ignore[no-untyped-def]
    device = InlineDevice()
    yield device
    device.stop()


async def test_an_idle_device_executes_a_sample(device: InlineDevice) -> None:
    probe, runtime = Probe(device), NumpyRuntime(SIGNATURE, lambda inputs: inputs)
    assert await probe.run([model(runtime)]) is None
    assert await probe.run([model(runtime)]) is None
    assert runtime.batches == [1]  # the first look only learns what idle means


async def test_a_device_that_makes_progress_is_left_alone(device: InlineDevice) -> None:
    probe, runtime = Probe(device), NumpyRuntime(SIGNATURE, lambda inputs: inputs)
    for progress in range(3):
        device.progress = progress
        assert await probe.run([model(runtime)]) is None
    assert runtime.batches == []


async def test_models_take_turns(device: InlineDevice) -> None:
    probe = Probe(device)
    runtimes = [NumpyRuntime(SIGNATURE, lambda inputs: inputs) for _ in range(2)]
    for _ in range(5):
        await probe.run([model(runtime) for runtime in runtimes])
    assert [len(runtime.batches) for runtime in runtimes] == [2, 2]


async def test_a_sample_that_fails_is_a_reason_without_details(device: InlineDevice) -> None:
    def fail(inputs: Arrays) -> Arrays:
        raise RuntimeError("a secret")

    probe, runtime = Probe(device), NumpyRuntime(SIGNATURE, fail)
    await probe.run([model(runtime)])
    assert await probe.run([model(runtime)]) == "m 1 fails its warm-up sample: RuntimeError"
    assert await probe.run([model(runtime)]) == "m 1 fails its warm-up sample: RuntimeError"


async def test_a_device_that_hangs_has_one_probe_and_recovers(device: InlineDevice) -> None:
    hangs = threading.Event()

    def wait(inputs: Arrays) -> Arrays:
        hangs.wait(30)
        return inputs

    probe, runtime = Probe(device), NumpyRuntime(SIGNATURE, wait)
    slow = model(runtime, stall_after=0.02)
    await probe.run([slow])
    for _ in range(2):
        assert await probe.run([slow]) == "the device has not answered for 0.02 s"
    hangs.set()
    device.call(lambda: None).result()
    assert await probe.run([slow]) is None
    assert runtime.batches == [1]


async def test_without_samples_the_thread_has_to_come_by(device: InlineDevice) -> None:
    probe, runtime = Probe(device), NumpyRuntime(SIGNATURE, lambda inputs: inputs)
    for _ in range(2):
        assert await probe.run([model(runtime, samples=())]) is None
    assert runtime.batches == []


async def test_without_models_there_is_nothing_to_ask(device: InlineDevice) -> None:
    probe = Probe(device)
    for _ in range(2):
        assert await probe.run([]) is None
