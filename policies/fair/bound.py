"""How many requests of one model should be in flight: enough to keep its endpoints busy, no more.

By Little's law (1961) what is in flight is the rate times the time it takes. So when a request that
now takes L seconds, Q of them queued at the backend, should have queued T seconds instead, in
flight should be N' = N * (L - Q + T) / L. That is the gradient of Netflix's concurrency-limits with
the queueing time measured (backends report it) instead of inferred from the least latency seen.

Of a saturated device that works in batches, one batch should wait while one executes; so T is what
a batch takes, and N' is never less than two batches for each endpoint that answers: on a device
that other models keep busy, a bound that followed the time alone would shrink to nothing.
"""

from typing import NamedTuple

FIRST = 64  # requests, until something is known
LEAST = 2
MOST = 1 << 16
# A queue shorter than this is none: batches wait for company, threads for their turn.
LEAST_QUEUE = 0.005  # seconds; CoDel's target (RFC 8289)
WINDOW = 16  # answers
SMOOTHING = 0.2  # of averages, for a new window


class Answer(NamedTuple):
    """What is learned from; times in seconds.

    `in_flight` counts the request itself, which was begun at `began`. `queue` is how long it waited
    at the backend, `compute` how long its batch took, `work` its part of that, `batch_rows` how
    many rows were executed together with its own `rows`.
    """

    in_flight: int
    began: float
    queue: float
    compute: float
    work: float
    rows: int
    batch_rows: int
    instance: str


class Bound:
    """`share`: the part of the endpoints that is this worker's, one of several."""

    __slots__ = (
        "_changed_at",
        "_compute",
        "_elapsed",
        "_in_flight",
        "_instances",
        "_queue",
        "_row_work",
        "_samples",
        "_share",
        "_together",
        "_work",
        "compute",
        "rate",
        "row_work",
        "value",
        "work",
    )

    def __init__(self, share: float = 1.0) -> None:
        self.value = FIRST
        self.rate = 0.0  # requests done in a second when busy; 0 until it is known
        self.compute = 0.0  # seconds that a batch takes, mean
        self.row_work = 0.0  # device seconds, mean
        self.work = 0.0  # device seconds of a request, mean
        self._share = share
        self._changed_at = 0.0
        self._begin(0.0)

    def observe(self, now: float, answer: Answer) -> None:
        """Takes an answer that came at `now`, after which the bound may be another."""
        elapsed = now - answer.began
        # Far from the bound nothing can be learned of it; what began under another one tells of
        # that.
        if answer.in_flight * 2 < self.value or answer.began < self._changed_at or elapsed <= 0.0:
            return
        self._samples += 1
        self._in_flight += answer.in_flight
        self._elapsed += elapsed
        self._queue += min(answer.queue, elapsed)
        self._compute += answer.compute
        self._work += answer.work
        self._row_work += answer.work / answer.rows
        self._together += max(answer.batch_rows / answer.rows, 1.0)
        self._instances.add(answer.instance)
        if self._samples >= WINDOW:
            self._change(now)

    def _change(self, now: float) -> None:
        count = self._samples
        elapsed, queue, compute = self._elapsed / count, self._queue / count, self._compute / count
        wanted = max(LEAST_QUEUE, compute)
        follows = self._in_flight / count * (elapsed - queue + wanted) / elapsed
        batches = 2.0 * len(self._instances) * self._together / count * self._share
        # By one more than follows, so that workers that share endpoints come to equal bounds: the
        # smaller one gains more by it.
        aim = max(follows + 1.0, batches)
        within = min(max(aim, self.value / 2), self.value * 2)
        self.value = min(max(round(within), LEAST), MOST)
        self.rate = _smoothed(self.rate, self._in_flight / count / elapsed)
        self.compute = _smoothed(self.compute, compute)
        self.row_work = _smoothed(self.row_work, self._row_work / count)
        self.work = _smoothed(self.work, self._work / count)
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._changed_at = now
        self._samples = 0
        self._in_flight = self._elapsed = self._queue = 0.0
        self._compute = self._row_work = self._work = self._together = 0.0
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


def _smoothed(mean: float, new: float) -> float:
    return mean + SMOOTHING * (new - mean) if mean else new
