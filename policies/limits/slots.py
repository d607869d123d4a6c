"""How many requests may be under way at a time."""

from policies.limits.allowance import Known

WAIT = 1.0  # seconds; when one ends is not known


class Slots(Known):
    """`size` slots for each key, `share` of a limit's; a slot is free again when it is settled."""

    __slots__ = ("_share", "_size", "_taken")

    def __init__(self, size: float, share: float = 1.0) -> None:
        self._size = size
        self._share = share
        self._taken: dict[str, float] = {}

    def wait(self, key: str, amount: float, now: float) -> float:
        return 0.0 if self._taken.get(key, 0.0) + amount <= self._size else WAIT

    def take(self, key: str, amount: float, now: float) -> float:
        self._taken[key] = taken = self._taken.get(key, 0.0) + amount
        return (self._size - taken) / self._share

    def settle(self, key: str, taken: float, used: float, at: float, now: float) -> None:
        under_way = self._taken.get(key, 0.0) - taken + used
        if under_way > 0:
            self._taken[key] = under_way
        else:
            self._taken.pop(key, None)

    def left(self, key: str, now: float) -> float:
        return (self._size - self._taken.get(key, 0.0)) / self._share

    def idle(self, now: float) -> bool:
        return not self._taken

    def __len__(self) -> int:
        return len(self._taken)
