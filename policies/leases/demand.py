"""How much of one limit a process is about to need, as its last requests tell."""

from math import pow

from policies.leases.terms import LEASE_SECONDS, ROUNDING

AHEAD = 1.5  # times what is used in a lease's time is leased, so that it seldom runs out
FADES = 0.7  # of its demand a key keeps after each lease's time, if less is asked of it
SMALLEST_GRAIN = 1e-3


class Demand:
    """`wished`, `taken` and `takes` are since the last lease's time was over.

    What is wished is what was taken or refused; `grain` is the size of a request.
    """

    __slots__ = ("_lately", "_since", "grain", "taken", "takes", "wished")

    def __init__(self, now: float) -> None:
        self.wished = self.taken = 0.0
        self.takes = 0
        self.grain = 1.0
        self._lately = 0.0  # in a lease's time
        self._since = now

    def want(self, rate: float, now: float) -> float:
        """What is worth leasing; 0 where a lease of the limit's `rate` is less than a request."""
        if now - self._since >= 0.9 * LEASE_SECONDS:
            self._count(now)
        want = AHEAD * max(self._lately, self.wished)
        small = rate and rate * LEASE_SECONDS + ROUNDING < self.grain
        return 0.0 if small or want < self.grain else want

    def _count(self, now: float) -> None:
        times = (now - self._since) / LEASE_SECONDS  # exchanges may be slow
        self._lately = max(self.wished / max(1.0, times), pow(FADES, times) * self._lately)
        if self.takes:
            self.grain = max(SMALLEST_GRAIN, self.taken / self.takes)
        self.wished = self.taken = 0.0
        self.takes, self._since = 0, now

    def end(self) -> None:
        self._lately = self.wished = 0.0
