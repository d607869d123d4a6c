"""The device memory that models may take: who holds how much, who goes when there is no room."""

import os
import subprocess
from collections.abc import Mapping

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


# Name, version and revision: a new revision is loaded while the old one still serves.
Holder = tuple[str, str, str]


class OverBudget(Exception):
    """There is no room; the sentence has the sizes."""


class Memory:
    """Bytes of device memory by holder; `budget` 0 means that there is no bound."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.high_water = 0
        self._held: dict[Holder, int] = {}

    @property
    def used(self) -> int:
        return sum(self._held.values())

    def held(self, key: Holder) -> int:
        return self._held.get(key, 0)

    def reserve(self, key: Holder, size: int) -> None:
        """Keeps `size` bytes for a model that is about to be loaded."""
        self._held[key] = size

    def hold(self, key: Holder, size: int) -> None:
        """Records that `key` holds `size` bytes, in place of what it reserved."""
        self._held[key] = size
        self.high_water = max(self.high_water, self.used)

    def release(self, key: Holder) -> None:
        self._held.pop(key, None)

    def evicted_for(self, size: int, idle: Mapping[Holder, float]) -> list[Holder]:
        """Whom to unload so that `size` more bytes fit, least recently used first.

        `idle` are those that may go, with when each was used last. Raises OverBudget if they are
        not enough; then nobody needs to go.
        """
        if not self.budget:
            return []
        missing = self.used + size - self.budget
        gone: list[Holder] = []
        for key in sorted(idle, key=lambda key: idle[key]):
            if missing <= 0:
                break
            if self.held(key):
                missing -= self.held(key)
                gone.append(key)
        if missing > 0:
            raise OverBudget(
                f"it takes {written(size)}, and of the budget of {written(self.budget)} "
                f"{written(self.used)} are in use"
            )
        return gone


def written(size: int) -> str:
    """A size as people read it; exact below a KiB."""
    for scale, unit in _UNITS:
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def device_total(device: str) -> int:
    """Bytes of memory that a CUDA device has; 0, which is no bound, for the CPU.

    Asks the driver's own tool, since not every framework tells. Raises ValueError if it can't be
    known; a budget has to be given then.
    """
    if not device.startswith("cuda"):
        return 0
    number = device.partition(":")[2] or "0"
    visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
    if visible:
        number = visible[int(number)].strip()
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        shown = subprocess.run(
            [*query, f"--id={number}"], capture_output=True, text=True, check=True, timeout=10
        )
        return int(shown.stdout) << 20
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ValueError(
            f"can't learn how much memory {device} has ({type(error).__name__}); give it a budget"
        ) from None
