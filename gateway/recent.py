"""The last slow and failed requests, to be explained one by one: bounded, and without payloads.

A worker notes which of its requests were slow or failed, for nothing but a comparison in all
others, and makes rows of them once a second, when it reports. What the gateway keeps of all workers
survives a worker that crashes. A row has no payload, subject, path or sentence of an error; a
tenant it has, since only administrators see it.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from protos.timeline import Timeline

KEPT = 200  # failed requests, and as many slow ones
# A tenant over its limit, or whose deadlines are too near, must not push out what failed.
KEPT_REFUSALS = 100
SLOW_FOR = 600.0  # seconds after which the slowest of then give way to those of now
# A row costs some 50 µs of the event loop, so that all of a report's cost 6 ms at most.
FAILURES_A_REPORT = 50
REFUSALS_A_REPORT = 20
SLOW_A_REPORT = 50

Row = dict[str, Any]


class Ended(NamedTuple):
    """A request that is over: what it was, how it ended, and when by both clocks."""

    model: str
    face: str
    code: int
    error: str  # the name of its failure's kind, or empty
    timeline: Timeline
    end: float  # monotonic seconds


Describe = Callable[[Ended], Row]


class Noted:
    """One worker's, between two reports. `floor` is how long a request takes to be slow.

    That is the time of the two hundredth of the last ten minutes' slowest, so nearly all requests
    are told by one comparison that they are nothing special.
    """

    def __init__(self) -> None:
        self.floor = 0.0
        self._slowest: list[tuple[float, float]] = []  # seconds and end, the fastest first
        self._slow: list[Ended] = []
        self._failed: deque[Ended] = deque(maxlen=FAILURES_A_REPORT)
        self._refused: deque[Ended] = deque(maxlen=REFUSALS_A_REPORT)

    def note(self, ended: Ended, seconds: float) -> None:
        """Of a request that failed, was refused or took longer than `floor`."""
        if ended.code >= 500 and not ended.timeline.by_client:
            self._failed.append(ended)
        elif ended.code >= 400:
            self._refused.append(ended)
        else:
            slowest = self._slowest
            heapq.heappush(slowest, (seconds, ended.end))
            self._slow.append(ended)
            if len(slowest) > KEPT:
                heapq.heappop(slowest)
                self.floor = slowest[0][0]

    def take(self, now: float) -> list[Ended]:
        """What was noted since the last call; forgets who was slow long ago."""
        slowest = heapq.nlargest(SLOW_A_REPORT, self._slow, key=_seconds)
        found = [*self._failed, *self._refused, *slowest]
        self._failed.clear()
        self._refused.clear()
        self._slow.clear()
        newer = [each for each in self._slowest if now - each[1] <= SLOW_FOR]
        if len(newer) < len(self._slowest):
            heapq.heapify(newer)
            self._slowest, self.floor = newer, 0.0
        return found


def _seconds(ended: Ended) -> float:
    return ended.end - ended.timeline.start


def packed(ended: Iterable[Ended], describe: Describe) -> list[bytes]:
    """Rows as JSON, for a report."""
    return [orjson.dumps(describe(each)) for each in ended]


class _Arrived(NamedTuple):
    """A slow request, and when it was reported: by a clock that nobody sets."""

    row: Row
    at: float  # monotonic seconds


class RecentRequests:
    """What all workers of a gateway have noted. `now` is in monotonic seconds."""

    def __init__(self) -> None:
        self._failed: deque[Row] = deque(maxlen=KEPT)
        self._refused: deque[Row] = deque(maxlen=KEPT_REFUSALS)
        self._slow: list[_Arrived] = []

    def take(self, rows: Iterable[bytes], now: float) -> None:
        """The rows of one worker's report."""
        for row in map(orjson.loads, rows):
            if row["code"] >= 500 and not row["by_client"]:
                self._failed.append(row)
            elif row["code"] >= 400:
                self._refused.append(row)
            else:
                self._slow.append(_Arrived(row, now))
        if len(self._slow) > KEPT:
            self._forget(now)
            self._slow = heapq.nlargest(KEPT, self._slow, key=lambda each: each.row["seconds"])

    def find(self, wanted: Mapping[str, str], now: float) -> list[Row]:
        """Those whose `model`, `code` or `request_id` is as wanted, the newest first."""
        self._forget(now)
        rows = [*self._failed, *self._refused, *(each.row for each in self._slow)]
        found = [row for row in rows if all(str(row[k]) == v for k, v in wanted.items())]
        return sorted(found, key=lambda row: -row["at"])

    def _forget(self, now: float) -> None:
        self._slow = [each for each in self._slow if now - each.at <= SLOW_FOR]
