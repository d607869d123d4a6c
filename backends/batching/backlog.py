"""How much work waits, in predicted device seconds, and how much of it goes before a newcomer."""

from math import exp

# Width in urgency (seconds) of the classes in which work is counted.
WIDTH = 0.1
WINDOW = 0.25  # seconds over which demand is averaged


class Backlog:
    """Queued work by urgency; adding and removing take constant time."""

    __slots__ = ("_classes", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self._classes: dict[int, list[float]] = {}  # [work, entries]

    def add(self, urgency: float, work: float) -> None:
        self.total += work
        at = int(urgency / WIDTH)
        found = self._classes.get(at)
        if found is None:
            self._classes[at] = [work, 1.0]
        else:
            found[0] += work
            found[1] += 1.0

    def remove(self, urgency: float, work: float) -> None:
        at = int(urgency / WIDTH)
        found = self._classes[at]
        found[0] -= work
        found[1] -= 1.0
        self.total -= work
        if not found[1]:
            del self._classes[at]
            if not self._classes:
                self.total = 0.0  # and with it what rounding left

    def before(self, urgency: float) -> float:
        """Seconds of work that is due before `urgency`, or in the same class."""
        limit = int(urgency / WIDTH)
        return sum([work for at, (work, _) in self._classes.items() if at <= limit])


class Demand:
    """Device seconds asked for in a second, if each request were executed alone."""

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._seconds = 0.0
        self._at = 0.0

    def add(self, seconds: float, now: float) -> None:
        self._seconds = self._seconds * exp((self._at - now) / WINDOW) + seconds
        self._at = now

    def rate(self, now: float) -> float:
        return self._seconds * exp((self._at - now) / WINDOW) / WINDOW
