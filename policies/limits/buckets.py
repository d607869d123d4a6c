"""Token buckets: so much in a time, with bursts.

Of a bucket only the time is kept at which it will be full again, as in the generic cell rate
algorithm (ITU-T I.371): a bucket that is full is as good as none, and can be forgotten.
"""

from math import inf

from policies.limits.allowance import NEVER, Known

BUCKETS = 10_000  # of one limit; beyond that the fullest are forgotten, and are then full
ROUNDING = 1e-6  # seconds; sums of times are not exact
HELD_WAIT = 1.0  # seconds after which those may have ended who hold all there is


class Buckets(Known):
    """Buckets by key, each full at first; `rate` in tokens a second, `size` in tokens."""

    __slots__ = ("_all_full_at", "_full_at", "_rate", "_seconds", "_size")

    def __init__(self, rate: float, size: float) -> None:
        self._rate = rate
        self._size = size
        self._seconds = size / rate  # from empty to full
        self._full_at: dict[str, float] = {}
        self._all_full_at = -inf

    def wait(self, key: str, amount: float, now: float) -> float:
        if amount > self._size:
            return NEVER
        wait = self._full_at.get(key, now) - now + amount / self._rate - self._seconds
        return wait if wait > ROUNDING else 0.0

    def take(self, key: str, amount: float, now: float) -> float:
        full = self._full_at.get(key)
        if full is None and len(self._full_at) >= BUCKETS:
            self._forget(now)
        if full is None or full < now:
            full = now
        self._full_at[key] = full = full + amount / self._rate
        if full > self._all_full_at:
            self._all_full_at = full
        return (self._seconds - full + now) * self._rate

    def settle(self, key: str, taken: float, used: float, at: float, now: float) -> None:
        """What was taken stays so: who asks has asked."""

    def left(self, key: str, now: float) -> float:
        filling = max(0.0, self._full_at.get(key, now) - now)
        return (self._seconds - filling) * self._rate

    def idle(self, now: float) -> bool:
        return self._all_full_at <= now

    def _forget(self, now: float) -> None:
        """Buckets that are full, or if there are few of those, the fullest."""
        kept = sorted((at, id_) for id_, (_, at) in enumerate(self._full_at.items()) if at > now)
        keep = {id_ for _, id_ in kept[-(BUCKETS * 9 // 10) :]}
        self._full_at = {
            key: at for id_, (key, at) in enumerate(self._full_at.items()) if id_ in keep
        }

    def __len__(self) -> int:
        return len(self._full_at)


class HoldingBuckets(Known):
    """Buckets whose requests tell afterwards what they used, and hold what they took until then.

    What is held can't be taken by others but leaves the bucket only with the settling, so that what
    is used in any stretch of time is at most the burst and the rate times its length, though most
    requests use less than they took. Had it left at once, the bucket would fill up meanwhile, and
    what is then given back would be there twice.
    """

    __slots__ = ("_buckets", "_held", "_size")

    def __init__(self, rate: float, size: float) -> None:
        self._buckets = Buckets(rate, size)
        self._size = size
        self._held: dict[str, float] = {}

    def wait(self, key: str, amount: float, now: float) -> float:
        if amount > self._size:
            return NEVER
        held = self._held.get(key, 0.0)
        if held + amount > self._size + ROUNDING:
            return max(HELD_WAIT, self._buckets.wait(key, amount, now))
        return self._buckets.wait(key, min(held + amount, self._size), now)

    def take(self, key: str, amount: float, now: float) -> float:
        self._held[key] = self._held.get(key, 0.0) + amount
        return self.left(key, now)

    def settle(self, key: str, taken: float, used: float, at: float, now: float) -> None:
        held = self._held.get(key, 0.0) - taken
        if held > ROUNDING:
            self._held[key] = held
        else:
            self._held.pop(key, None)
        if used:
            self._buckets.take(key, used, now)

    def left(self, key: str, now: float) -> float:
        return self._buckets.left(key, now) - self._held.get(key, 0.0)

    def idle(self, now: float) -> bool:
        return not self._held and self._buckets.idle(now)
