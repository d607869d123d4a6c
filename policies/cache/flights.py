"""The executions under way that others may join, by what they will answer."""

import asyncio
from collections.abc import Awaitable, Callable

from policies.cache.flight import Flight
from protos.service import Reply
from protos.values import Context

CLOSING = 1.0  # seconds that interrupted executions have to end


class Flights:
    """`most` are the bytes of parts that one holds; `clock` is the event loop's."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._open: dict[bytes, Flight] = {}  # that may be joined
        self._tasks: dict[asyncio.Task[None], Flight] = {}

    @property
    def waiting(self) -> int:
        """Requests that wait for one that may be joined, or read it."""
        return sum(len(flight.readers) for flight in self._open.values())

    def find(self, key: bytes, context: Context) -> Flight | None:
        """One that the request may join."""
        flight = self._open.get(key)
        return flight if flight is not None and flight.suits(context, self._clock()) else None

    def begin(
        self,
        key: bytes,
        fetch: Callable[[], Awaitable[tuple[Reply, float | None]]],
        context: Context,
        idle: float,
    ) -> Flight:
        """One that later requests join instead of another of its key; see `Flight`."""

        def closed(flight: Flight) -> None:
            if self._open.get(key) is flight:
                del self._open[key]

        flight = Flight(fetch, context, most=self._most, idle=idle, closed=closed)
        self._open[key] = self._tasks[flight.task] = flight
        flight.task.add_done_callback(self._tasks.pop)
        return flight

    async def close(self) -> None:
        """Interrupts all, and waits until they have let go of what is below."""
        tasks = [*self._tasks]
        for flight in [*self._tasks.values()]:
            flight.interrupt()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING)

    def __len__(self) -> int:
        return len(self._open)

    def __repr__(self) -> str:
        return f"<Flights {len(self._open)} open, {len(self._tasks)} under way>"
