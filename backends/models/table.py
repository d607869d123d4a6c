"""The models of one backend and what state each version is in; plain data, no I/O."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

from backends.batching.job import BatchPolicy, ModelKey
from backends.models.config import ModelConfig
from protos.errors import Kind, PenstockError, unknown_model
from protos.values import Signature
from protos.wording import quote


class State(IntEnum):
    """The numbers are those of `discovery.proto`'s ModelState."""

    LOADING = 1
    READY = 2
    UNLOADING = 3
    UNAVAILABLE = 4


# From a state to those that may follow; None is a version that the table doesn't have. READY may
# follow READY: a new revision took the place of the old one without a gap.
TRANSITIONS: dict[State | None, frozenset[State | None]] = {
    None: frozenset({State.LOADING, State.UNAVAILABLE}),
    State.LOADING: frozenset({State.LOADING, State.READY, State.UNAVAILABLE, None}),
    State.READY: frozenset({State.READY, State.UNLOADING}),
    State.UNLOADING: frozenset({State.UNLOADING, State.UNAVAILABLE, None}),
    State.UNAVAILABLE: frozenset({State.UNAVAILABLE, State.LOADING, None}),
}


class IllegalTransition(Exception):
    """A bug: the life cycle tried what the table above doesn't have."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One version. `signature`, `policy` and `revision` are those that serve, if any do.

    `reason` says why it is not READY or, when it is, why a newer revision was not taken.
    """

    name: str
    version: str
    state: State
    reason: str
    revision: str
    signature: Signature | None
    policy: BatchPolicy | None
    config: ModelConfig | None

    @property
    def key(self) -> ModelKey:
        return self.name, self.version

    @property
    def ready(self) -> bool:
        return self.state is State.READY


@dataclass(frozen=True, slots=True)
class ReadyEntry(ModelEntry):
    """A version in the state READY, which has everything."""

    signature: Signature
    policy: BatchPolicy
    config: ModelConfig


class ModelTable:
    """Entries by name and version; `revision` grows with every change, and `on_change` is told."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self.revision = 0
        self._on_change = on_change
        self._entries: dict[ModelKey, ModelEntry] = {}
        # By name and version, and the highest version under "": one look-up for a request.
        self._ready: dict[ModelKey, ReadyEntry] = {}

    def index(self) -> list[ModelEntry]:
        """All versions, by name and then by number."""
        return sorted(self._entries.values(), key=lambda entry: (entry.name, _number(entry)))

    def entry(self, key: ModelKey) -> ModelEntry | None:
        return self._entries.get(key)

    def get(self, model: str, version: str) -> ReadyEntry:
        """The READY version, the highest for ""; raises NOT_FOUND or UNAVAILABLE."""
        ready = self._ready.get((model, version))
        if ready is None:
            raise self._missing(model, version)
        return ready

    def serve(self, entry: ReadyEntry) -> None:
        """The version is READY as `entry` says, in place of the revision that served before."""
        self._put(entry)

    def explain(self, key: ModelKey, reason: str) -> None:
        """Another reason for the state that the version is in."""
        self._put(replace(self._entries[key], reason=reason))

    def move(self, key: ModelKey, state: State, reason: str = "") -> None:
        """The version no longer serves, or not yet. Raises IllegalTransition."""
        self._put(ModelEntry(*key, state, reason, "", None, None, None))

    def remove(self, key: ModelKey) -> None:
        self._check(key, self._entries.get(key), None)
        del self._entries[key]
        self._changed(key[0])

    def _put(self, entry: ModelEntry) -> None:
        old = self._entries.get(entry.key)
        self._check(entry.key, old, entry.state)
        if entry != old:
            self._entries[entry.key] = entry
            self._changed(entry.name)

    def _check(self, key: ModelKey, old: ModelEntry | None, state: State | None) -> None:
        before = old.state if old is not None else None
        if state not in TRANSITIONS[before]:
            raise IllegalTransition(f"{key}: {_name(before)} to {_name(state)}")

    def _changed(self, model: str) -> None:
        self.revision += 1
        for key in [key for key in self._ready if key[0] == model]:
            del self._ready[key]
        entries = [entry for entry in self._entries.values() if entry.name == model]
        for entry in sorted(entries, key=_number):
            if isinstance(entry, ReadyEntry):
                self._ready[entry.key] = self._ready[model, ""] = entry
        self._on_change()

    def _missing(self, model: str, version: str) -> PenstockError:
        versions = {entry.version for entry in self._entries.values() if entry.name == model}
        if not versions:
            return unknown_model(model)
        if version and version not in versions:
            return PenstockError(
                Kind.NOT_FOUND, f"model {quote(model)} has no version {quote(version)}"
            )
        what = f"model {quote(model)}" + (f" version {quote(version)}" if version else "")
        return PenstockError(Kind.UNAVAILABLE, f"{what} is not ready", retry_after=1.0)


def _number(entry: ModelEntry) -> tuple[int, str]:
    return (int(entry.version) if entry.version.isdigit() else -1, entry.version)


def _name(state: State | None) -> str:
    return state.name if state is not None else "absent"
