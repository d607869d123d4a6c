"""Which entries stay when there are more than fit: S3-FIFO, in bytes.

After "FIFO Queues are All You Need for Cache Eviction" (Yang et al., SOSP 2023). New entries wait
in a small queue, a tenth of the whole; those that were asked for more than once there move to the
main queue, the others leave, and only their names are remembered. A name that comes back goes to
the main queue at once. So what is asked for once or twice, as a scan does, pushes out nothing that
is asked for often, as it would with LRU; and a hit only counts to three.
"""

from collections import OrderedDict

MOST_COUNTED = 3
SMALL_SHARE = 0.1
MOVES_FROM = 2  # hits in the small queue
# Entries that one call spares for having been asked for. Where all of them have been, it would go
# through all before the first had to leave.
MOST_SPARED = 16
# What an entry takes beside its bytes: two names, its record, its places in dictionaries, and that
# of a name that is remembered (sys.getsizeof of each, and tables half empty).
OVERHEAD = 640


class _Entry:
    __slots__ = ("data", "expires", "hits", "size")

    def __init__(self, data: bytes, expires: float) -> None:
        self.data = data
        self.expires = expires
        self.hits = 0
        self.size = len(data) + OVERHEAD


class S3Fifo:
    """Bytes by name, at most `budget` bytes of them with their overhead. Times in seconds."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.bytes = 0
        self.evictions = 0
        self._small: OrderedDict[bytes, _Entry] = OrderedDict()
        self._main: OrderedDict[bytes, _Entry] = OrderedDict()
        self._small_bytes = 0
        self._gone: OrderedDict[bytes, None] = OrderedDict()  # names that left the small queue

    def find(self, key: bytes, now: float) -> bytes | None:
        """What is kept under the name, unless it has expired."""
        entry = self._main.get(key)
        is_small = entry is None
        if entry is None:
            entry = self._small.get(key)
            if entry is None:
                return None
        if entry.expires <= now:
            self.forget(key)
            return None
        if entry.hits < MOST_COUNTED:
            entry.hits += 1
        if is_small and entry.hits >= MOVES_FROM:
            self._move(key, entry)
        return entry.data

    def keep(self, key: bytes, data: bytes, expires: float) -> bool:
        """Keeps the bytes, in place of others of that name; False if they don't fit at all."""
        self.forget(key)
        entry = _Entry(data, expires)
        if entry.size > self.budget:
            return False
        if key in self._gone:
            del self._gone[key]
            self._main[key] = entry
        else:
            self._small[key] = entry
            self._small_bytes += entry.size
        self.bytes += entry.size
        spared = 0
        while self.bytes > self.budget:
            spared += self._evict(spare=spared < MOST_SPARED)
        return True

    def forget(self, key: bytes) -> bool:
        """Whether there was something of that name."""
        entry = self._main.pop(key, None)
        if entry is None:
            entry = self._small.pop(key, None)
            if entry is None:
                return False
            self._small_bytes -= entry.size
        self.bytes -= entry.size
        return True

    def clear(self) -> None:
        self._small.clear()
        self._main.clear()
        self._gone.clear()
        self.bytes = self._small_bytes = 0

    def _move(self, key: bytes, entry: _Entry) -> None:
        """From the small to the main queue.

        At the hit and not when its turn comes, or one call might have to move a whole queue.
        """
        del self._small[key]
        self._small_bytes -= entry.size
        entry.hits = 0
        self._main[key] = entry

    def _evict(self, *, spare: bool) -> bool:
        """Drops an entry, or spares the one whose turn it is: then True."""
        if self._small and (self._small_bytes > SMALL_SHARE * self.budget or not self._main):
            key, entry = self._small.popitem(last=False)
            self._small_bytes -= entry.size
            self._gone[key] = None
            # As many as there are entries, whose overhead counts one name each.
            while len(self._gone) > len(self):
                self._gone.popitem(last=False)
        else:
            key, entry = self._main.popitem(last=False)
            if spare and entry.hits:
                entry.hits -= 1
                self._main[key] = entry
                return True
        self.bytes -= entry.size
        self.evictions += 1
        return False

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def __contains__(self, key: bytes) -> bool:
        return key in self._main or key in self._small

    def __repr__(self) -> str:
        return f"<S3Fifo {len(self)} entries, {self.bytes} of {self.budget} bytes>"
