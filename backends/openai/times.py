"""How long recent calls took until their first part, for what beats tell of the load."""

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
