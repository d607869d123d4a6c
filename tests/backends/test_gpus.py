"""GPUs in beats: as the driver tells, and nothing where there is no driver."""

import time
from types import SimpleNamespace

import pytest

from backends.gpus import Gpus


class NVMLError(Exception):
    """As the library's own."""


class Library:
    """A driver of two GPUs that, like slices of one, tell nothing of their power."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0

    def nvmlDeviceGetHandleByIndex(self, number):
        return number

    def nvmlDeviceGetHandleByUUID(self, name):
        return {"GPU-b": 1}[name]

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(used=10 + handle, total=80)

    def nvmlDeviceGetUtilizationRates(self, handle):
        return SimpleNamespace(gpu=50, memory=3)

    def nvmlDeviceGetPowerUsage(self, handle):
        raise NVMLError("not supported")

    def nvmlDeviceGetTemperature(self, handle, sensor):
        return 61

    def nvmlDeviceGetName(self, handle):
        return "a GPU"


def told(gpus, device):
    """Waits for the thread's first answer."""
    until = time.monotonic() + 30.0
    while not (found := gpus.told(device)) and time.monotonic() < until:
        time.sleep(0.001)
    return found


def test_a_gpu_tells_what_it_can():
    (gpu,) = told(Gpus(Library, None), "cuda:0")
    assert (gpu.device, gpu.name) == ("cuda:0", "a GPU")
    assert (gpu.memory_used_bytes, gpu.memory_total_bytes) == (10, 80)
    assert (gpu.utilization, gpu.temperature_celsius) == (0.5, 61.0)
    assert gpu.power_watts == 0.0


@pytest.mark.parametrize("visible", ["1", "1,0", "GPU-b", " GPU-b,0"])
def test_devices_are_those_that_cuda_sees(visible):
    (gpu,) = told(Gpus(Library, visible), "cuda")
    assert gpu.memory_used_bytes == 11


def test_a_model_on_several_has_all_of_them():
    assert [gpu.device for gpu in told(Gpus(Library, None), "cuda:0,cuda:1")] == [
        "cuda:0",
        "cuda:1",
    ]


def test_on_a_cpu_nobody_is_asked():
    def load():
        raise AssertionError("was asked")

    assert Gpus(load, None).told("cpu") == ()


@pytest.mark.parametrize("visible", [None, "MIG-1", ""])
def test_without_a_driver_or_a_device_there_is_nothing(visible):
    def load():
        if visible is None:
            raise ImportError("no module named pynvml")
        return Library()

    gpus = Gpus(load, visible)
    gpus.told("cuda:0")
    gpus._thread.join(30.0)
    assert gpus.told("cuda:0") == ()
