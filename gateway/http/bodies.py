"""How many bytes of bodies a worker holds at once: of everybody together, and of one tenant.

A body is held while it arrives and until its request is over, since tensors are views of it.
"""

import asyncio
from collections import Counter

from protos.errors import Kind, PenstockError

TENANTS_SHARE = 0.5  # of the whole; the rest is for the others
RETRY_AFTER = 1.0  # seconds


class Bodies:
    """`each` bounds one body, `together` all of them; both in bytes."""

    def __init__(self, each: int, together: int) -> None:
        self.each = each
        self._together = together
        self._most = max(each, int(together * TENANTS_SHARE))
        self._held = 0
        self._of: Counter[str] = Counter()
        self._by: dict[asyncio.Task[object], tuple[str, int]] = {}

    def hold(self, tenant: str, size: int) -> None:
        """Counts so many bytes more until the current task, which is one tenant's, is over.

        Fewer where `size` is negative. Raises OVERLOADED or RATE_LIMITED where there is no room.
        """
        if self._of[tenant] + size > self._most:
            raise _refused(Kind.RATE_LIMITED, f"your bodies under way have more than {self._most}")
        if self._held + size > self._together:
            raise _refused(Kind.OVERLOADED, f"all bodies under way have more than {self._together}")
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task holds a body until it is over")
        of_task = self._by.get(task)
        if of_task is None:
            task.add_done_callback(self._release)
        self._by[task] = tenant, size if of_task is None else of_task[1] + size
        self._held += size
        self._of[tenant] += size

    def _release(self, task: "asyncio.Task[object]") -> None:
        tenant, size = self._by.pop(task)
        self._held -= size
        self._of[tenant] -= size
        if not self._of[tenant]:
            del self._of[tenant]

    def __repr__(self) -> str:
        return f"<Bodies {self._held} of {self._together} bytes, {len(self._of)} tenants>"


def _refused(kind: Kind, why: str) -> PenstockError:
    message = f"{why} bytes (limits.bodies): send fewer at a time"
    return PenstockError(kind, message, retry_after=RETRY_AFTER)
