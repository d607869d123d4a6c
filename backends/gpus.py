"""What NVIDIA's driver tells of a backend's GPUs, for beats; nothing where there is none.

NVML is asked by a thread, as some of its answers take tens of milliseconds, through the package
`nvidia-ml-py` where that is installed.
"""

import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from protos import discovery_pb2 as pb

log = logging.getLogger(__name__)

INTERVAL = 2.0  # seconds
MILLI = 1e-3
PERCENT = 1e-2


def nvml() -> Any:
    """The library, initialised. Raises ImportError without it, its NVMLError without a driver."""
    library = importlib.import_module("pynvml")
    library.nvmlInit()
    return library


class Gpus:
    """`load` gives NVML's library, or raises; `visible` is CUDA_VISIBLE_DEVICES, None if unset."""

    def __init__(
        self,
        load: Callable[[], Any] = nvml,
        visible: str | None = os.environ.get("CUDA_VISIBLE_DEVICES"),
    ) -> None:
        self._load = load
        self._visible = visible
        self._told: Sequence[pb.Accelerator] = ()
        self._thread: threading.Thread | None = None

    def told(self, device: str) -> Sequence[pb.Accelerator]:
        """What was told last of `cuda:0`, or of several with commas; the first call starts that."""
        if not device.startswith("cuda"):
            return ()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, args=(device.split(","),), name="gpus", daemon=True
            )
            self._thread.start()
        return self._told

    def _run(self, devices: Sequence[str]) -> None:
        try:
            library = self._load()
            handles = {each: _handle(library, each, self._visible) for each in devices}
        except Exception as error:  # whatever is missing: the package, the driver, a right
            log.info("no metrics of GPUs: %s", error)
            return
        while True:
            self._told = [_ask(library, name, handle) for name, handle in handles.items()]
            time.sleep(INTERVAL)


def _handle(library: Any, device: str, visible: str | None) -> Any:
    """CUDA counts the devices that CUDA_VISIBLE_DEVICES lets it see, NVML counts all."""
    number = int(device.partition(":")[2] or 0)
    if visible is None:
        return library.nvmlDeviceGetHandleByIndex(number)
    name = visible.split(",")[number].strip()
    if name.isdigit():
        return library.nvmlDeviceGetHandleByIndex(int(name))
    return library.nvmlDeviceGetHandleByUUID(name)


def _ask(library: Any, device: str, handle: Any) -> pb.Accelerator:
    """What a device doesn't tell stays 0: slices of a GPU have no power of their own."""
    told = pb.Accelerator(device=device)

    def take(ask: Callable[[], None]) -> None:
        try:
            ask()
        except library.NVMLError as error:
            log.debug("%s: %s", device, error)

    def memory() -> None:
        found = library.nvmlDeviceGetMemoryInfo(handle)
        told.memory_used_bytes, told.memory_total_bytes = found.used, found.total

    def utilization() -> None:
        told.utilization = library.nvmlDeviceGetUtilizationRates(handle).gpu * PERCENT

    def power() -> None:
        told.power_watts = library.nvmlDeviceGetPowerUsage(handle) * MILLI

    def temperature() -> None:
        sensor = library.NVML_TEMPERATURE_GPU
        told.temperature_celsius = library.nvmlDeviceGetTemperature(handle, sensor)

    def name() -> None:
        told.name = library.nvmlDeviceGetName(handle)

    for ask in (memory, utilization, power, temperature, name):
        take(ask)
    return told
