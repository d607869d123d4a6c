"""The subset of a model's endpoints that one worker uses.

The aperture is Finagle's idea: each worker has its own subset, here by rendezvous hashing, at least
three endpoints, growing while all of them have queues. Calls of a worker stay together on few
streams, and all workers together use all endpoints.
"""

from hashlib import blake2b

from routing.endpoint import Endpoint

MIN_APERTURE = 3
WIDEN_ABOVE = 0.010  # seconds of predicted wait, of the best of them
NARROW_BELOW = 0.001  # and of the worst
ADJUST_EVERY = 0.1  # seconds


class Aperture:
    """How many endpoints of one model version a worker uses, and in which order of preference."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._order: tuple[Endpoint, ...] = ()
        self._source: tuple[Endpoint, ...] = ()
        self._adjusted = 0.0
        self._reach = MIN_APERTURE  # in that order; beyond the width where some can't be used
        self.width = MIN_APERTURE

    def subset(self, endpoints: tuple[Endpoint, ...], now: float) -> tuple[Endpoint, ...]:
        if len(endpoints) <= MIN_APERTURE:
            return endpoints
        if endpoints is not self._source:
            self._source = endpoints
            self._order = tuple(sorted(endpoints, key=self._rank))
            self._stretch()
        if now - self._adjusted > ADJUST_EVERY:
            self._adjusted = now
            self._stretch()
            self._adjust()
        return self._order[: self._reach]

    def _adjust(self) -> None:
        waits = [e.predicted_wait() for e in self._order[: self._reach] if e.usable]
        if not waits or min(waits) > WIDEN_ABOVE:
            self.width = min(self.width + 1, len(self._order))
        elif max(waits) < NARROW_BELOW:
            self.width = max(self.width - 1, MIN_APERTURE)
        self._stretch()

    def _stretch(self) -> None:
        """Those that died take nobody's place: of the others there are as many as the width."""
        usable = 0
        for place, endpoint in enumerate(self._order, 1):
            usable += endpoint.usable
            if usable >= self.width:
                self._reach = place
                return
        self._reach = len(self._order)

    def _rank(self, endpoint: Endpoint) -> bytes:
        return blake2b(f"{self._worker}\0{endpoint.instance}".encode(), digest_size=8).digest()
