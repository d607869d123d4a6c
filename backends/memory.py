"""The device memory that models may take: who holds how much, who goes when there is no room."""

from collections.abc import Mapping

from backends.job import ModelKey

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


class OverBudget(Exception):
    """There is no room; the sentence has the sizes."""


class Memory:
    """Bytes of device memory by holder; `budget` 0 means that there is no bound."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.high_water = 0
        self._held: dict[ModelKey, int] = {}

    @property
    def used(self) -> int:
        return sum(self._held.values())

    def held(self, key: ModelKey) -> int:
        return self._held.get(key, 0)

    def hold(self, key: ModelKey, size: int) -> None:
        """Records that `key` holds `size` bytes, in place of what it held."""
        self._held[key] = size
        self.high_water = max(self.high_water, self.used)

    def release(self, key: ModelKey) -> None:
        self._held.pop(key, None)

    def evicted_for(self, size: int, idle: Mapping[ModelKey, float]) -> list[ModelKey]:
        """Whom to unload so that `size` more bytes fit, least recently used first.

        `idle` are those that may go, with when each was used last. Raises OverBudget if they are
        not enough; then nobody needs to go.
        """
        if not self.budget:
            return []
        missing = self.used + size - self.budget
        gone: list[ModelKey] = []
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
