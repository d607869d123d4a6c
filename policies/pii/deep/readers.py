"""The pools of all policies, and how a request's texts get to one."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from policies.pii.deep.pool import Found, Pool
from policies.pii.deep.settings import Deep
from policies.pii.redactor import Redactor
from policies.pii.span import Span


class Readers:
    """Pools by what policies ask for: those that ask for the same share one."""

    def __init__(self, make: Callable[[Deep], Pool] = Pool) -> None:
        self._make = make
        self._pools: dict[Deep, Pool] = {}
        self._ending: dict[asyncio.Task[None], Pool] = {}

    def of(self, deep: Deep) -> Pool:
        """The pool, which is made if need be. Needs a running event loop."""
        pool = self._pools.get(deep)
        if pool is None:
            pool = self._pools[deep] = self._make(deep)
        return pool

    def keep(self, asked: Collection[Deep]) -> None:
        """Starts the pools that are asked for, and ends others once their requests are answered."""
        for deep in asked:
            self.of(deep)
        for deep in self._pools.keys() - set(asked):
            pool = self._pools.pop(deep)
            task = asyncio.create_task(_end(pool, deep.timeout))
            self._ending[task] = pool
            task.add_done_callback(lambda task: self._ending.pop(task, None))

    async def close(self) -> None:
        """Ends all of them at once."""
        pools = [*self._pools.values(), *self._ending.values()]
        for task in self._ending:
            task.cancel()
        self._pools.clear()
        await asyncio.gather(*(pool.stop() for pool in pools), return_exceptions=True)


class Listener:
    """Hears which texts of a request are looked at, and then knows what was read in them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._texts: dict[str, None] = {}
        self._length = 0
        self._found: dict[str, Sequence[Span]] = {}

    def hearing(self, redactor: Redactor) -> Redactor:
        """A redactor that finds what patterns find, and tells which texts it was given.

        It raises TOO_LARGE for more text than is read.
        """
        return redactor.naming(self._hear)

    async def knowing(self, redactor: Redactor) -> Redactor:
        """A redactor that knows the names in these texts as well, and raises for other texts."""
        found: Found = await self._pool.find([*self._texts]) if self._texts else []
        self._found = dict(zip(self._texts, found, strict=True))
        return redactor.naming(self._know)

    def _hear(self, text: str) -> Sequence[Span]:
        if _has_letters(text) and text not in self._texts:
            self._length += len(text)
            self._pool.check(self._length)
            self._texts[text] = None
        return ()

    def _know(self, text: str) -> Sequence[Span]:
        return self._found[text] if _has_letters(text) else ()


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))


async def _end(pool: Pool, after: float) -> None:
    await asyncio.sleep(after)
    await pool.stop()
