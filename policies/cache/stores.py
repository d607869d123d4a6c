"""Where a worker keeps answers, and under which secret."""

from dataclasses import dataclass

from policies.cache.key import Keys
from policies.cache.memory import Memory
from policies.cache.shared import Shared


@dataclass(frozen=True, slots=True)
class Stores:
    """`shared` is None where gateways share nothing; `most` are the bytes of one entry."""

    keys: Keys
    memory: Memory
    shared: Shared | None
    most: int
