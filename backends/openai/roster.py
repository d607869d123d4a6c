"""The models of a model server as gateways see them: plain data, told what the server lists."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from backends.language.models import ready
from protos import discovery_pb2 as pb
from protos.wording import quote


@dataclass(frozen=True, slots=True)
class Entry:
    """A model under our name for it; `upstream` is the server's."""

    name: str
    upstream: str
    state: pb.ModelState
    reason: str = ""


class Roster:
    """Models by name; `revision` grows with every change.

    `names` maps ours to the server's; without any, all that it lists are served under its own. With
    `unlisted`, those in `names` are taken to be there whatever it lists.
    """

    def __init__(self, names: Mapping[str, str], *, unlisted: bool = False) -> None:
        self._names = dict(names)
        self.unlisted = unlisted
        self._entries = {
            name: Entry(name, upstream, pb.LOADING, "the server is starting")
            for name, upstream in names.items()
        }
        self.revision = 1

    def update(self, listed: Collection[str]) -> bool:
        """Takes what the server lists now; whether anything changed."""
        names = self._names or {**{e.name: e.upstream for e in self.entries()}, **_same(listed)}
        entries = {}
        for name, upstream in names.items():
            if upstream in listed or self.unlisted:
                entries[name] = Entry(name, upstream, pb.READY)
            else:
                why = f"the server doesn't list {quote(upstream)}"
                entries[name] = Entry(name, upstream, pb.UNAVAILABLE, why)
        if entries == self._entries:
            return False
        self._entries = entries
        self.revision += 1
        return True

    def entries(self) -> list[Entry]:
        return sorted(self._entries.values(), key=lambda entry: entry.name)

    def get(self, name: str, version: str) -> Entry:
        """The READY model; raises NOT_FOUND or UNAVAILABLE."""
        return ready(self._entries, name, version)


def revision_of(entry: Entry, told: str) -> str:
    """What the model's answers depend on, as far as the operator told it; empty for nothing.

    A server says nothing of its weights, so without that nobody may take two answers for those of
    the same model.
    """
    if not told:
        return ""
    return hashlib.sha256(f"{entry.upstream}\0{told}".encode()).hexdigest()


def _same(listed: Collection[str]) -> dict[str, str]:
    return {name: name for name in listed}
