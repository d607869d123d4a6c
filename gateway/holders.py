"""Whose an instance is, and how much of all that is told a backend may take; `now` is monotonic."""

from dataclasses import dataclass
from hmac import compare_digest

MAX_INSTANCES = 10_000
MAX_TABLES = 64 * 1024 * 1024  # bytes of all model tables, which every worker is told


@dataclass(slots=True)
class _Holder:
    name: str
    access_key: str
    last_beat: float
    size: int  # of the model table


class Holders:
    """One for each instance that is in the registry; a lease lasts `lease` seconds.

    While a lease lasts nobody else can take its instance over, whatever epoch they make up. Who has
    the access key that the instance made at its start is the instance, by whatever name.
    """

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._holders: dict[str, _Holder] = {}
        self._size = 0

    def fault(self, instance: str, name: str, access_key: str, size: int, now: float) -> str | None:
        """Why `name` may not beat for the instance, with a table of `size` bytes or 0 for none."""
        known = self._holders.get(instance)
        if known is None and len(self._holders) >= MAX_INSTANCES:
            return f"this mesh holds {MAX_INSTANCES} instances already"
        if known is not None and known.name != name and now - known.last_beat <= self._lease:
            right = access_key and compare_digest(known.access_key.encode(), access_key.encode())
            if not right:
                return f"instance {instance} is held by somebody else"
        if size and self._size - (known.size if known else 0) + size > MAX_TABLES:
            return f"models: the tables of all backends take more than {MAX_TABLES} bytes"
        return None

    def took(self, instance: str, name: str, access_key: str, size: int, now: float) -> None:
        """The beat was taken; without a table the one that is known still counts."""
        known = self._holders.get(instance)
        before = known.size if known else 0
        size = size or before
        self._size += size - before
        self._holders[instance] = _Holder(name, access_key, now, size)

    def forget(self, instance: str) -> None:
        known = self._holders.pop(instance, None)
        if known is not None:
            self._size -= known.size

    def __repr__(self) -> str:
        return f"<Holders of {len(self._holders)} instances, {self._size} bytes>"
