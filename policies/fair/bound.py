"""How many requests of one model should be in flight: enough to keep its endpoints busy, no more.

By Little's law (1961) what is in flight is the rate times the time it takes. So when a request that
now takes L seconds, Q of them queued at the backend, should have queued T seconds instead, in
flight should be N' = N * (L - Q + T) / L. That is the gradient of Netflix's concurrency-limits with
the queueing time measured (backends report it) instead of inferred from the least latency seen.
While there is hardly a queue the endpoints could do more, and N doubles, as in TCP's slow start.

Of a saturated device that works in batches, one batch should wait while one executes; so T is what
a batch takes, and N' is never less than two batches for each endpoint that answers: on a device
that other models keep busy, a bound that followed the time alone would shrink to nothing.
"""

from typing import NamedTuple

FIRST = 32  # requests, until something is known
LEAST = 2
MOST = 1 << 16
# A queue shorter than this is none: batches wait for company, threads for their turn.
LEAST_QUEUE = 0.005  # seconds; CoDel's target (RFC 8289)
WINDOW = 16  # answers
SMOOTHING = 0.2  # of the rate, for a new window
FORGETTING = 1 / WINDOW  # of what requests use, for a new one


class Answer(NamedTuple):
    """What is learned from when the first part of an answer comes; times in seconds.

    `in_flight` counts the request itself, which was begun at `began`. `queue` is how long it waited
    at the backend, `compute` how long its batch took, `together` how many requests like it were
    executed with it.
    """

    in_flight: int
    began: float
    queue: float
    compute: float
    together: float
    instance: str
    streams: bool = False


class Bound:
    """`share`: the part of the endpoints that is this worker's, one of several."""

    __slots__ = (
        "_compute",
        "_elapsed",
        "_held",
        "_in_flight",
        "_instances",
        "_older",
        "_queue",
        "_samples",
        "_share",
        "_together",
        "compute",
        "rate",
        "row_work",
        "value",
        "work",
    )

    def __init__(self, share: float = 1.0) -> None:
        self.value = FIRST
        self.rate = 0.0  # requests done in a second when busy; 0 until it is known
        self.compute = 0.0  # seconds that a batch takes
        self.row_work = 0.0  # device seconds of a row, mean
        self.work = 0.0  # device seconds of a request, mean
        self._held = 0.0  # seconds until a stream is closed, mean
        self._share = share
        self._older = 0  # requests in flight when the bound was changed
        self._begin()

    def observe(self, now: float, answer: Answer) -> None:
        """Takes an answer that came at `now`, after which the bound may be another."""
        elapsed = now - answer.began
        # Far from the bound nothing can be learned of it.
        if answer.in_flight * 2 < self.value or elapsed <= 0.0:
            return
        # What began under another bound tells of that. It is told by number and not by its time,
        # or what overtakes the others would be all that is looked at.
        if self._older:
            self._older -= 1
            return
        self._samples += 1
        self._in_flight += answer.in_flight
        # A stream is in flight for much longer than it takes to begin.
        self._elapsed += max(elapsed, self._held) if answer.streams else elapsed
        self._queue += min(answer.queue, elapsed)
        self._compute += answer.compute
        self._together += max(answer.together, 1.0)
        self._instances.add(answer.instance)
        if self._samples >= WINDOW:
            self._change()

    def used(self, work: float, rows: int) -> None:
        """A request of so many rows has used so many device seconds."""
        self.work = _mean(self.work, work, FORGETTING)
        self.row_work = _mean(self.row_work, work / rows, FORGETTING)

    def held(self, seconds: float) -> None:
        """A stream has ended that was in flight for so long."""
        self._held = _mean(self._held, seconds, FORGETTING)

    def _change(self) -> None:
        count = self._samples
        elapsed, queue = self._elapsed / count, self._queue / count
        in_flight = self._in_flight / count
        self.compute = self._compute / count
        wanted = max(LEAST_QUEUE, self.compute)
        if queue * 2 < wanted:
            aim = in_flight * 2
        else:
            # By one more than follows, so that workers that share endpoints come to equal bounds:
            # the smaller one gains more by it.
            aim = in_flight * (elapsed - queue + wanted) / elapsed + 1.0
        batches = 2.0 * len(self._instances) * self._together / count * self._share
        within = min(max(aim, batches, self.value / 2), self.value * 2)
        value = min(max(round(within), LEAST), MOST)
        if value != self.value:
            self.value, self._older = value, round(in_flight)
        self.rate = _mean(self.rate, in_flight / elapsed, SMOOTHING)
        self._begin()

    def _begin(self) -> None:
        self._samples = 0
        self._in_flight = self._elapsed = self._queue = self._compute = self._together = 0.0
        self._instances: set[str] = set()

    @property
    def latency(self) -> float:
        """Seconds that a request will be in flight at this bound; 0 until it is known."""
        return self.value / self.rate if self.rate else 0.0

    @property
    def speed(self) -> float:
        """Device seconds done in a second when busy; 0 until it is known."""
        return self.rate * self.work

    def __repr__(self) -> str:
        return f"<Bound {self.value}, {self.latency * 1e3:.1f} ms>"


def _mean(mean: float, new: float, part: float) -> float:
    return mean + part * (new - mean) if mean else new
