"""How long a batch takes: seconds by model, shape bucket and executed rows, learned from batches.

Warm-up gives the first measurements, every executed batch refreshes its own. What was never
executed is estimated from what was: between two sizes and beyond them along a line, in a bucket
without measurements from the one that is nearest in size.
"""

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from math import prod
from threading import Lock

from backends.batching.job import Bucket, ModelKey

# Shapes come from clients, and models come and go: what is remembered of them must be bounded. A
# model's costs outlive it, since it mostly comes back as its own next revision.
MAX_BUCKETS = 256
MAX_MODELS = 256
# The weight of a new measurement. Ten batches after a change of speed, 90 % of it is seen.
FRESHNESS = 0.2
# One batch that hung says little about the next: a measurement counts as at most so many times what
# was predicted (or as two milliseconds, where all is noise). Ones that stay slow are
# believed soon, since each may multiply the estimate by 1.6.
OUTLIER = 4.0
NOISE = 0.002  # seconds
# A size that costs more than this many times its share of what another one is seen to take is
# doubted: what looks slow is hardly executed any more, so nothing else would show that it is quick.
DOUBTED = 2.0
RECENT = 512  # executed batches over which the quantiles are taken


class CostTable:
    """Predicted seconds of batches; knows nothing until it has observed something. Thread-safe."""

    def __init__(self) -> None:
        # Warm-up observes from another thread than the one that predicts.
        self._lock = Lock()
        self._models: OrderedDict[ModelKey, _Model] = OrderedDict()
        self._recent: deque[float] = deque(maxlen=RECENT)

    def observe(self, key: ModelKey, bucket: Bucket, rows: int, seconds: float) -> None:
        """A batch of `rows` (filling included) took `seconds`."""
        with self._lock:
            model = self._models.get(key)
            if model is None:
                model = self._models[key] = _Model()
                if len(self._models) > MAX_MODELS:
                    self._models.popitem(last=False)
            self._models.move_to_end(key)
            model.observe(bucket, rows, seconds)

    def executed(self, seconds: float) -> None:
        """A batch of requests took `seconds`; these are what the quantiles are of."""
        with self._lock:
            self._recent.append(seconds)

    def predict(self, key: ModelKey, bucket: Bucket, rows: int) -> float:
        """Seconds that `rows` (filling included) will take; 0 for a model never observed."""
        with self._lock:
            model = self._models.get(key)
            return model.predict(bucket, rows) if model is not None else 0.0

    def quantiles(self) -> tuple[float, float]:
        """The median and the 99th percentile of recent batches' seconds; 0 before the first."""
        with self._lock:
            ordered = sorted(self._recent)
        if not ordered:
            return 0.0, 0.0
        last = len(ordered) - 1
        return ordered[last // 2], ordered[round(last * 0.99)]


class _Model:
    """The curves of one model's buckets, the least recently executed forgotten first."""

    def __init__(self) -> None:
        self._curves: OrderedDict[Bucket, Curve] = OrderedDict()
        # (elements a row, bucket), ascending: where to find the nearest in size.
        self._sizes: list[tuple[int, Bucket]] = []

    def observe(self, bucket: Bucket, rows: int, seconds: float) -> None:
        curve = self._curves.get(bucket)
        if curve is None:
            if self._curves:
                seconds = _believed(seconds, self.predict(bucket, rows))
            curve = self._curves[bucket] = Curve()
            insort(self._sizes, (_elements(bucket), bucket))
            if len(self._curves) > MAX_BUCKETS:
                oldest, _ = self._curves.popitem(last=False)
                self._sizes.remove((_elements(oldest), oldest))
        self._curves.move_to_end(bucket)
        curve.observe(rows, seconds)

    def predict(self, bucket: Bucket, rows: int) -> float:
        curve = self._curves.get(bucket)
        if curve is not None:
            return curve.predict(rows)
        elements = _elements(bucket)
        at = bisect_left(self._sizes, (elements, bucket))
        candidates = self._sizes[max(at - 1, 0) : at + 1]
        known, nearest = min(candidates, key=lambda it: max(it[0], elements) / min(it[0], elements))
        ratio = elements / known
        # Part of a batch's time doesn't depend on its size, so a smaller one saves half at most.
        scale = ratio if ratio > 1 else 0.5 + 0.5 * ratio
        return scale * self._curves[nearest].predict(rows)


class Curve:
    """Seconds over rows: moving averages at the sizes that were executed, lines between them."""

    __slots__ = ("_rows", "_seconds")

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._seconds: list[float] = []

    def observe(self, rows: int, seconds: float) -> None:
        if self._rows:
            seconds = _believed(seconds, self.predict(rows))
        at = bisect_left(self._rows, rows)
        if at < len(self._rows) and self._rows[at] == rows:
            self._seconds[at] += FRESHNESS * (seconds - self._seconds[at])
        else:
            self._rows.insert(at, rows)
            self._seconds.insert(at, seconds)
        self._doubt(rows, self._seconds[at])

    def _doubt(self, rows: int, seconds: float) -> None:
        """Draws down the other sizes that this one, which was executed, contradicts."""
        for at, size in enumerate(self._rows):
            most = DOUBTED * seconds * max(size / rows, 1.0)
            if self._seconds[at] > most:
                self._seconds[at] += FRESHNESS * (most - self._seconds[at])

    def predict(self, rows: int) -> float:
        """Seconds; the curve must have been observed."""
        sizes, seconds = self._rows, self._seconds
        at = bisect_left(sizes, rows)
        if at < len(sizes) and sizes[at] == rows:
            return seconds[at]
        if len(sizes) == 1:
            ratio = rows / sizes[0]
            return seconds[0] * (ratio if ratio > 1 else 0.5 + 0.5 * ratio)
        left = min(max(at - 1, 0), len(sizes) - 2)
        slope = (seconds[left + 1] - seconds[left]) / (sizes[left + 1] - sizes[left])
        line = seconds[left] + slope * (rows - sizes[left])
        if at == 0:
            # A line through noise may reach zero; the proportional share is the least there is.
            return min(max(line, seconds[0] * rows / sizes[0]), seconds[0])
        if at == len(sizes):
            return max(line, seconds[-1])
        return line


def _believed(seconds: float, predicted: float) -> float:
    return min(seconds, max(OUTLIER * predicted, NOISE))


def _elements(bucket: Bucket) -> int:
    """Elements a row, at least 1: what the work of a batch roughly grows with."""
    return max(sum(prod(dimensions) for _, _, dimensions in bucket), 1)
