"""What an endpoint has kept of earlier requests: beginnings of prompts, and adapters.

Beats tell it, for all gateways and workers alike. A beat is up to a second old, so what this worker
itself has sent there since is remembered until beats must know better.
"""

from protos import discovery_pb2 as pb
from protos.prefixes import MOST_BYTES, Filter, Prefixes, salt_of

# A beat comes every second and takes a moment to be heard of.
UNTOLD_FOR = 2.0  # seconds
MOST_UNTOLD = 4096  # names
MOST_BYTE_SECONDS = 0.01
MOST_ADAPTER_SECONDS = 60.0
MOST_SECONDS = 60.0  # of all that a request is saved
# Of a filter with as many names as it may have, four bits in ten are set.
FULLEST = 0.6


class Kept:
    """Of one endpoint. `access_key` is the instance's, with which its filters are salted."""

    def __init__(self, access_key: str) -> None:
        self._salt = salt_of(access_key)
        self._filter = Filter(b"", self._salt)
        self._byte_seconds = 0.0
        self._adapter_seconds = 0.0
        self._adapters: frozenset[str] = frozenset()
        # What was sent since, and with it what was sent in the time as long before that.
        self._sent: set[int] = set()
        self._untold: set[int] = set()
        self._since = 0.0

    def update(self, load: pb.Load, now: float) -> None:
        """Takes what a newer beat says."""
        # Backends are believed within reason: one that says nonsense must not draw everything.
        self._filter = Filter(load.prefixes if _plausible(load.prefixes) else b"", self._salt)
        self._byte_seconds = _bounded(load.prefix_byte_seconds, MOST_BYTE_SECONDS)
        self._adapter_seconds = _bounded(load.adapter_seconds, MOST_ADAPTER_SECONDS)
        self._adapters = frozenset(load.adapters)
        if now - self._since > UNTOLD_FOR:
            self._untold, self._sent, self._since = self._sent.copy(), set(), now

    def sent(self, prefixes: Prefixes) -> None:
        """A prompt that begins so is on its way there."""
        if len(self._sent) < MOST_UNTOLD:
            self._sent.update(prefixes.names)
            self._untold.update(prefixes.names)

    def reach(self, prefixes: Prefixes) -> int:
        """Bytes of the prompt's longest beginning that is kept, as far as anybody can tell."""
        return self._filter.reach(prefixes, self._untold)

    def saves(self, model: str, prefixes: Prefixes) -> float:
        """Seconds of work that are done already for such a request."""
        seconds = self.reach(prefixes) * self._byte_seconds if self._byte_seconds else 0.0
        if model in self._adapters:
            seconds += self._adapter_seconds
        return min(seconds, MOST_SECONDS)

    def __repr__(self) -> str:
        return f"<Kept {self._filter}, {len(self._adapters)} adapters>"


def _plausible(bits: bytes) -> bool:
    """Whether it may be a filter, and doesn't say of everything that it is there."""
    size = len(bits)
    return size <= MOST_BYTES and int.from_bytes(bits).bit_count() <= FULLEST * 8 * size


def _bounded(seconds: float, most: float) -> float:
    return min(seconds, most) if seconds > 0.0 else 0.0  # what is no number is 0, too
