"""What a language model has kept of the prompts it has seen, for beats to tell.

Gateways ask by the names of `protos/prefixes.py`; what stands behind a name is the model's own.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, TypeVar

from protos.prefixes import MOST_NAMES

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The `most` names that were used last, each with a value; safe to use in several threads.

    The tenant with the most of them makes room, so that none drives out all others'.
    """

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._most = most
        self._values: OrderedDict[int, Value] = OrderedDict()
        self._by_tenant: dict[str, OrderedDict[int, None]] = {}
        self._lock = threading.Lock()

    def touch(self, tenant: str, found: Sequence[tuple[int, Value]]) -> None:
        """A prompt of the tenant's was used: its beginnings, the shortest first.

        A beginning is forgotten after whatever begins with it: without it that is never found.
        """
        if not found:
            return
        with self._lock:
            own = self._by_tenant.setdefault(tenant, OrderedDict())
            for name, value in reversed(found):
                self._values[name] = value
                self._values.move_to_end(name)
                own[name] = None
                own.move_to_end(name)
            while (over := len(self._values) - self._most) > 0:
                self._shorten(over)

    def newest(self) -> list[tuple[int, Value]]:
        """All of them, the last used one first."""
        with self._lock:
            found = list(self._values.items())
        found.reverse()
        return found

    def get(self, name: int) -> Value | None:
        return self._values.get(name)

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self._by_tenant.clear()

    def __len__(self) -> int:
        return len(self._values)

    def _shorten(self, by: int) -> None:
        """Forgets so many names of the tenant with the most, but no more than half of them."""
        tenant, names = max(self._by_tenant.items(), key=lambda each: len(each[1]))
        for _ in range(min(by, (len(names) + 1) // 2)):
            name, _ = names.popitem(last=False)
            del self._values[name]
        if not names:
            del self._by_tenant[tenant]


class Pace:
    """Seconds that a byte of a prompt takes until the first part of the answer.

    All of that time counts as the prompt's: what a prompt saves can't be more than it takes. The
    last fifty calls or so weigh most.
    """

    FADES = 0.98

    def __init__(self) -> None:
        self._bytes = 0.0
        self._seconds = 0.0

    def add(self, length: int, cached: int, seconds: float) -> None:
        """A prompt of `length` bytes, of which so many were probably cached, took so long.

        Prompts that were mostly cached say little of what the rest costs.
        """
        fresh = length - cached
        if fresh > 0 and 2 * cached <= length:
            self._bytes = self._bytes * self.FADES + fresh
            self._seconds = self._seconds * self.FADES + seconds

    @property
    def byte_seconds(self) -> float:
        """0 before the first call."""
        return self._seconds / self._bytes if self._bytes else 0.0
