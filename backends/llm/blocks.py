"""Which blocks of the key-value cache are whose: counted references, and prefixes kept for reuse.

A block holds the keys and values of `size` tokens. Full ones are published under a key that names
all tokens up to their end, so that a prompt beginning with the same ones takes them as they are.
Blocks that nobody uses any more keep their contents until the room is needed, longest unused first
(vLLM's PagedAttention, Kwon et al. 2023, and its automatic prefix caching).
"""

import hashlib
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence

# Never given out: what pads a batch reads from it, so it holds zeros for ever.
NULL = 0


class BlockPool:
    """Blocks 1 to `count`; plain bookkeeping, it never touches the cache itself."""

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size
        self._users: Counter[int] = Counter()
        # Oldest first; those with nothing worth keeping stand before all others.
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(1, count + 1))
        self._by_key: dict[bytes, int] = {}
        self._keys: dict[int, bytes] = {}

    @property
    def free(self) -> int:
        """How many can be taken, forgetting what they hold."""
        return len(self._free)

    @property
    def cached(self) -> int:
        """How many hold a published prefix."""
        return len(self._by_key)

    @property
    def use(self) -> float:
        """The share that is in use."""
        return 1.0 - len(self._free) / self.count

    def blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.size)

    def match(self, keys: Iterable[bytes]) -> list[int]:
        """The blocks of the longest prefix that is here; they aren't held by this."""
        found: list[int] = []
        for key in keys:
            block = self._by_key.get(key)
            if block is None:
                break
            found.append(block)
        return found

    def knows(self, key: bytes) -> bool:
        """Whether a block is published under the key; may be asked in any thread."""
        return key in self._by_key

    def hold(self, blocks: Iterable[int]) -> None:
        """One more user for each."""
        for block in blocks:
            self._free.pop(block, None)
            self._users[block] += 1

    def take(self, count: int) -> list[int] | None:
        """So many blocks for a first user, or None if there aren't as many."""
        if count > len(self._free):
            return None
        taken = [self._free.popitem(last=False)[0] for _ in range(count)]
        for block in taken:
            self._forget(block)
        self._users.update(taken)
        return taken

    def publish(self, block: int, key: bytes) -> None:
        """The block is full, and nobody writes to it any more.

        The first block of two with the same tokens is the one that is found.
        """
        if block not in self._keys and key not in self._by_key:
            self._keys[block] = key
            self._by_key[key] = block

    def forget(self, blocks: Iterable[int]) -> None:
        """Nobody else finds them any more; who uses them still does."""
        for block in blocks:
            self._forget(block)

    def release(self, blocks: Sequence[int]) -> None:
        """One user less for each; raises ValueError for a block that nobody uses.

        A prefix's end is forgotten before its beginning, without which it would be of no use.
        """
        for block in reversed(blocks):
            left = self._users[block] - 1
            if left < 0:
                raise ValueError(f"block {block} is released more often than it was taken")
            if left:
                self._users[block] = left
                continue
            del self._users[block]
            self._free[block] = None
            if block not in self._keys:
                self._free.move_to_end(block, last=False)

    def _forget(self, block: int) -> None:
        key = self._keys.pop(block, None)
        if key is not None:
            del self._by_key[key]


def block_key(before: bytes, tokens: Sequence[int]) -> bytes:
    """The name of a full block: what its tokens are, and all before them.

    `before` is the previous block's key, or the salt of whoever may share the prefix. A digest that
    can't be forged, since another's prefix found by a collision would be another's text.
    """
    return hashlib.blake2b(array("q", tokens).tobytes(), key=before[:64], digest_size=32).digest()


def salt(*parts: str) -> bytes:
    """Where a chain of keys begins: prefixes are shared only where all parts are the same."""
    packed = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hashlib.blake2b(packed, digest_size=32).digest()
