"""The last ten minutes of traffic, from the counters that all workers have reported.

A console is looked at when something is wrong, so what came before must be there already. It is
kept by sampling the sums every five seconds; nothing of it is on a request's way.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from gateway.console.samples import IDLE, NOTHING, Key, Rates, Sample, Table, between, read
from protos import discovery_pb2 as pb

log = logging.getLogger(__name__)

INTERVAL = 5.0  # seconds between samples
KEPT = 120  # intervals: ten minutes
MINUTE = 12  # intervals of which rates and quantiles are told


class History:
    """`look` gives the families `READ` of all workers as they are now; `taken` counts samples."""

    def __init__(
        self, look: Callable[[], Sequence[pb.MetricFamily]], clock: Callable[[], float]
    ) -> None:
        self._look = look
        self._clock = clock
        self.taken = 0
        self._minute: deque[Sample] = deque(maxlen=MINUTE + 1)
        # By interval: what all traffic was like, and requests a second of who had any.
        self._total: deque[Rates] = deque(maxlen=KEPT)
        self._requests: dict[Key, deque[float]] = {}
        self._tables: dict[str, Table] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="history of traffic")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def take(self, sample: Sample, tables: dict[str, Table]) -> None:
        """Keeps what was read now."""
        self._tables = tables
        if self._minute:
            self._compare(self._minute[-1], sample)
        self._minute.append(sample)
        self.taken += 1

    def busy(self) -> list[Key]:
        """Who had traffic within these ten minutes; what met no route comes last."""
        return sorted(self._requests, key=lambda key: (not key.route, key))

    def rates(self, key: Key | None) -> Rates:
        """Over the last minute, as far as it is known; of all traffic without a key."""
        if not self._total:
            return IDLE
        return between(self._minute[0], self._minute[-1], key)

    def line(self, value: Callable[[Rates], float]) -> list[float]:
        """Of all traffic, one value for each interval, the newest last."""
        return [value(each) for each in self._total]

    def requests(self, key: Key) -> list[float]:
        """Requests a second in each interval, the newest last."""
        return list(self._requests.get(key, ()))

    def table(self, name: str) -> Table:
        """The newest sums of one of `TABLES`."""
        return self._tables.get(name, {})

    def troubles(self) -> dict[str, int]:
        """How often each of `TROUBLES` happened within the last minute, if it did."""
        if not self._minute:
            return {}
        grown = {}
        for name, value in self._minute[-1].troubles.items():
            # Not from zero: what was counted before anybody looked isn't of this minute.
            first = next(each.troubles[name] for each in self._minute if name in each.troubles)
            grown[name] = round(value - first)
        return {name: times for name, times in grown.items() if times > 0}

    def _compare(self, first: Sample, last: Sample) -> None:
        seconds, silent = last.at - first.at, [0.0] * len(self._total)
        self._total.append(between(first, last, None))
        for key in {*last.series, *self._requests}:
            after, before = last.series.get(key, NOTHING), first.series.get(key, NOTHING)
            requests = max(0.0, after.requests - before.requests) / seconds
            line = self._requests.get(key)
            if line is None:
                if not requests:
                    continue
                line = self._requests[key] = deque(silent, maxlen=KEPT)
            line.append(requests)
            if not any(line):
                del self._requests[key]

    async def _run(self) -> None:
        failing = False
        while True:
            try:
                self.take(*await asyncio.to_thread(read, self._look(), self._clock()))
                failing = False
            except Exception:
                # The console's figures stand still, and nothing else may come of it.
                if not failing:
                    log.exception("the counters can't be read, and are tried again and again")
                failing = True
            await asyncio.sleep(INTERVAL)
