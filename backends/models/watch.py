"""What to do about what a scan found, compared with what is loaded; decided without doing it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backends.batching.job import ModelKey
from backends.models.artifacts import Stamp
from backends.models.repository import Candidate, Found, Refusal


@dataclass(frozen=True, slots=True)
class Load:
    """Load the candidate, in place of what serves under its key if something does."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Wait:
    """The files are new or changed since the last look: perhaps somebody is still copying."""

    key: ModelKey


@dataclass(frozen=True, slots=True)
class Refuse:
    """It can't be served; what serves under its key goes on."""

    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Remove:
    """Its files are gone."""

    key: ModelKey


Action = Load | Wait | Refuse | Remove


class Watch:
    """Remembers what was seen and tried, so that each change of files leads to one attempt."""

    def __init__(self) -> None:
        self._seen: dict[ModelKey, Stamp] = {}
        self._tried: dict[ModelKey, Stamp | None] = {}
        self._refused: dict[ModelKey, Refusal] = {}

    def decide(self, found: Iterable[Found]) -> list[Action]:
        """What the newest scan asks for; every Load counts as tried, whatever comes of it."""
        now: Mapping[ModelKey, Found] = {(one.name, one.version): one for one in found}
        actions: list[Action] = [Remove(key) for key in self._known() if key not in now]
        for key, one in now.items():
            settled = self._seen.get(key) == one.stamp
            self._seen[key] = one.stamp
            if isinstance(one, Refusal):
                if self._refused.get(key) != one:
                    self._refused[key] = one
                    # When the fault is mended the files may be what they were before it.
                    self._tried.pop(key, None)
                    actions.append(Refuse(one))
            elif self._tried.get(key) != one.stamp:
                self._refused.pop(key, None)
                if settled:
                    self._tried[key] = one.stamp
                    actions.append(Load(one))
                else:
                    actions.append(Wait(key))
        for action in actions:
            if isinstance(action, Remove):
                for memory in (self._seen, self._tried, self._refused):
                    memory.pop(action.key, None)
        return actions

    def retry(self, model: str) -> None:
        """Forgets attempts at the model, so that the next decision loads it again."""
        for key in list(self._tried):
            if key[0] == model:
                del self._tried[key]

    def settle(self, model: str, found: Iterable[Found]) -> None:
        """Marks what lies there as tried: it is unloaded on purpose, until its files change."""
        for one in found:
            if one.name == model:
                self._seen[model, one.version] = one.stamp
                self._tried[model, one.version] = one.stamp

    def _known(self) -> list[ModelKey]:
        return list(self._seen)
