"""When to fetch an issuer's keys, and how long those that we have still count.

Synchronous and without I/O: `now` is monotonic time in seconds. Whoever sends tokens with key ids
that nobody has must neither make us fetch nor keep anybody else from verifying, so:

- attempts are at least `COOLDOWN` apart, whatever asks for them;
- an id that was looked for in vain asks for nothing for `ABSENT`;
- a failed attempt takes nothing away: the last good keys count for `keep`.
"""

import random
from collections import OrderedDict

from policies.jwks import KeySet

COOLDOWN = 30.0  # seconds between the starts of two attempts, once there were keys
FIRST_RETRY = 1.0  # seconds, doubled with each failure, while there were none yet
ABSENT = 60.0  # seconds
MAX_ABSENT = 1000  # ids that are remembered


class KeyRing:
    """The keys of one issuer. `refresh` and `keep` are seconds.

    `rng` spreads the regular attempts of many gateways.
    """

    def __init__(self, *, refresh: float, keep: float, rng: random.Random) -> None:
        self.keys: KeySet | None = None
        self.attempts = 0
        self.failures = 0  # since the last success
        self._refresh = refresh
        self._keep = keep
        self._rng = rng
        self._good = 0.0  # when the keys were asked for that we have
        self._next = 0.0  # the regular attempt
        self._began = 0.0
        self._running = False
        self._wanted: set[str] = set()
        self._absent: OrderedDict[str, float] = OrderedDict()

    def find(self, kid: str | None, now: float) -> object:
        """The key, None if there is none of that id or the keys are too old to count."""
        if self.keys is None or now - self._good > self._keep:
            return None
        return self.keys.find(kid)

    def ask(self, kid: str | None, now: float) -> bool:
        """Asks for a key that `find` didn't find; whether an attempt is under way, or due at once.

        A token that names no key asks for nothing once there are keys: which it means is unclear.
        """
        if self._running:
            self._want(kid)
            return True
        if self.keys is not None:
            if kid is None or now - self._absent.get(kid, -ABSENT) < ABSENT:
                return False
            self._want(kid)
        return self.due(now) <= now

    def due(self, now: float) -> float:
        """When the next attempt shall begin."""
        if not self.attempts:
            return now
        if self.keys is None:
            return self._began + min(COOLDOWN, FIRST_RETRY * 2.0 ** min(self.failures - 1, 10))
        if self._wanted or self.failures:
            return self._began + COOLDOWN
        return max(self._next, self._began + COOLDOWN)

    def begin(self, now: float) -> None:
        self._running = True
        self._began = now
        self.attempts += 1

    def succeed(self, keys: KeySet, now: float) -> bool:
        """Takes the keys that an attempt brought; whether they are others than before."""
        changed = keys != self.keys
        self.keys = keys
        self.failures = 0
        self._good = self._began
        self._next = self._began + self._refresh * self._rng.uniform(0.9, 1.1)
        for kid in self._wanted:
            if keys.find(kid) is None:
                self._absent[kid] = now
                self._absent.move_to_end(kid)
        while len(self._absent) > MAX_ABSENT:
            self._absent.popitem(last=False)
        self._end()
        return changed

    def fail(self, now: float) -> bool:
        """Notes that an attempt failed; whether that leaves the keys too old to count."""
        self.failures += 1
        self._end()
        if self.keys is None or now - self._good <= self._keep:
            return False
        self.keys = None
        return True

    def age(self, now: float) -> float | None:
        """Seconds since the keys were known to be the issuer's; None without keys."""
        return None if self.keys is None else now - self._good

    def _want(self, kid: str | None) -> None:
        if kid is not None and len(self._wanted) < MAX_ABSENT:
            self._wanted.add(kid)

    def _end(self) -> None:
        self._running = False
        self._wanted.clear()
