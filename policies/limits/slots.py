"""How many requests may be under way at a time."""

from policies.limits.allowance import Known

WAIT = 1.0  # seconds; when one ends is not known


class UnderWay(dict[str, float]):
    """How many there are by key. It outlives changes of how many there may be."""

    __slots__ = ("__weakref__",)


class Slots(Known):
    """`size` slots for each key; a slot is free again when it is settled."""

    __slots__ = ("_size", "_under_way")

    def __init__(self, size: int, under_way: UnderWay) -> None:
        self._size = size
        self._under_way = under_way

    def wait(self, key: str, amount: float, now: float) -> float:
        return 0.0 if self._under_way.get(key, 0.0) + amount <= self._size else WAIT

    def take(self, key: str, amount: float, now: float) -> float:
        self._under_way[key] = taken = self._under_way.get(key, 0.0) + amount
        return self._size - taken

    def settle(self, key: str, taken: float, used: float, at: float, now: float) -> None:
        under_way = self._under_way.get(key, 0.0) - taken + used
        if under_way > 0:
            self._under_way[key] = under_way
        else:
            self._under_way.pop(key, None)

    def left(self, key: str, now: float) -> float:
        return self._size - self._under_way.get(key, 0.0)

    def idle(self, now: float) -> bool:
        return not self._under_way
