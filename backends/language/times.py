"""How long recent calls took, and what that says of the queue they wait in."""

from collections import deque

KEPT = 256


class Times:
    """Seconds of the last calls."""

    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=KEPT)

    def add(self, seconds: float) -> None:
        self._kept.append(seconds)

    def quantile(self, share: float) -> float:
        """0 before the first call."""
        if not self._kept:
            return 0.0
        ordered = sorted(self._kept)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def queued_work(waiting: int, running: int, typical: float) -> float:
    """Seconds until a new call would run, by Little's law: as many run, each for so long."""
    return waiting * typical / max(1, running)


def time_queued(waiting: int, running: int, elapsed: float, typical: float) -> float:
    """Seconds of the `elapsed` ones that a call has probably spent in the server's queue.

    By Little's law (1961) calls spend of their time as much in the queue as there are of all calls
    in it; `typical` is how long they take in all, of which a stream's first part is only the
    beginning.
    """
    if not waiting:
        return 0.0
    return min(elapsed, waiting / (waiting + running) * max(elapsed, typical))
