"""What has changed in the mesh since the last look, as far as somebody at a terminal cares."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.client import Instance, ServedModel

Event = tuple[Literal["ready", "failed", "gone"], ServedModel]

# An instance's first beats may come before it has looked at its repository.
_FIRST_LOOK = 3.0  # seconds


@dataclass(slots=True)
class News:
    """Remembers what was told, so that a crashed instance's return is no news."""

    _told: dict[tuple[str, str, str], tuple[str, str, str]] = field(default_factory=dict)

    def update(self, instances: Iterable[Instance]) -> list[Event]:
        """Models that became ready or changed, could not be loaded, or went away."""
        events: list[Event] = []
        for instance in instances:
            present = {_key(model): model for model in instance.models}
            for key, model in present.items():
                told = self._told.get(key)
                shown = (model.state, model.reason, model.revision)
                if shown == told or model.state not in ("READY", "UNAVAILABLE"):
                    continue
                self._told[key] = shown
                events.append(("ready" if model.state == "READY" else "failed", model))
            for key in [k for k in self._told if k[0] == instance.name and k not in present]:
                state, reason, revision = self._told.pop(key)
                events.append(("gone", ServedModel(*key, state, reason, revision)))
        return events


@dataclass(slots=True)
class Arrival:
    """Whether all instances that were started serve what they have."""

    expected: Sequence[str]
    _joined: dict[str, float] = field(default_factory=dict)

    def settled(self, instances: Iterable[Instance], now: float) -> bool:
        """`now` is monotonic; an instance without models is given three seconds to find some."""
        present = {instance.name: instance for instance in instances}
        for name in self.expected:
            instance = present.get(name)
            if instance is None:
                return False
            since = self._joined.setdefault(name, now)
            if any(model.state in ("LOADING", "UNLOADING") for model in instance.models):
                return False
            if not instance.models and now - since < _FIRST_LOOK:
                return False
        return True

    def progress(self, instances: Sequence[Instance]) -> str:
        here = [name for name in self.expected if any(each.name == name for each in instances)]
        missing = [name for name in self.expected if name not in here]
        loading = [
            f"{model.name}/{model.version}"
            for instance in instances
            for model in instance.models
            if model.state == "LOADING"
        ]
        if missing:
            return f"waiting for {', '.join(missing)} to join"
        return f"loading {', '.join(loading)}" if loading else "waiting for models"


def _key(model: ServedModel) -> tuple[str, str, str]:
    return model.instance, model.name, model.version
