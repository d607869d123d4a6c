"""`routes/*.yaml`: the document that operators edit, as a frozen model.

It lies in `protos` because routing, policies and gateway all read it, and because what holds
between its blocks (arms that exist, a baseline that is not the candidate) is checked in one place.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from protos.route.match import (
    PINNED,
    Backend,
    Match,
    Name,
    Pins,
    Priority,
    Sticky,
    twice,
)
from protos.route.mirror import Mirror
from protos.route.policies import (
    Audit,
    Cache,
    Circuit,
    Limit,
    Output,
    Plugin,
    Privacy,
    Retries,
    Timeouts,
)
from protos.route.rollout import Rollout
from protos.settings import Misplaced, Settings


class Metadata(Settings):
    name: Name
    owner: str = Field(default="", max_length=256)


class Spec(Settings):
    """`showArm` says who is told which arm served: callers of the model, or administrators."""

    match: tuple[Match, ...] = Field(min_length=1)
    backends: tuple[Backend, ...] = Field(min_length=1, max_length=64)
    sticky: Sticky | None = None
    rollout: Rollout | None = None
    mirror: tuple[Mirror, ...] = ()
    privacy: Privacy | None = None
    output: Output | None = None
    plugins: tuple[Plugin, ...] = Field(default=(), max_length=16)
    audit: Audit | None = None
    cache: Cache | None = None
    limits: tuple[Limit, ...] = ()
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    circuit: Circuit = Circuit()
    priority: Priority = Priority()
    pins: Pins = "arms"
    show_arm: Literal["callers", "admins"] = "callers"

    @model_validator(mode="after")
    def _arms(self) -> Self:
        names = [arm.name for arm in self.backends]
        if (name := twice(names)) is not None:
            raise ValueError(f"backends: two are called {name}")
        if PINNED in names:
            raise ValueError(f"backends: {PINNED} is the name for versions that clients choose")
        if not any(arm.weight for arm in self.backends):
            raise ValueError("backends: every weight is 0")
        if (name := twice([each.backend for each in self.mirror])) is not None:
            raise ValueError(f"mirror: two are called {name}")
        for arm in self.backends:
            _known(arm.fallback, names, f"backends: the fallback of {arm.name}")
            if arm.fallback == arm.name:
                raise ValueError(f"backends: {arm.name} is its own fallback")
        for mirror in self.mirror:
            _known(mirror.compare.noise_floor, names, f"mirror: the noiseFloor of {mirror.backend}")
        return self

    @model_validator(mode="after")
    def _cache(self) -> Self:
        # Placeholders and digests are each tenant's own, and so is what may stay unredacted.
        if self.cache is not None and self.cache.scope == "route" and self.privacy is not None:
            why = "scope route shares answers that privacy hides from each other"
            raise Misplaced(why, "cache", "scope")
        return self

    @model_validator(mode="after")
    def _rollout(self) -> Self:
        if self.rollout is None:
            return self
        names = [arm.name for arm in self.backends]
        baseline = self.rollout.analysis.baseline
        _known(baseline, names, "rollout: analysis.baseline")
        _known(self.rollout.candidate, names, "rollout: candidate")
        for step in self.rollout.steps:
            if step.mirror is not None and step.mirror.compare is not None:
                floor = step.mirror.compare.noise_floor
                _known(floor, names, "rollout: the noiseFloor of a mirror step")
        others = [name for name in names if name != baseline]
        if self.rollout.candidate is None and len(others) != 1:
            raise ValueError("rollout: candidate must be named unless there are two backends")
        if self.candidate == baseline:
            raise ValueError("rollout: the candidate is the baseline")
        return self

    @property
    def candidate(self) -> str | None:
        """The arm that a rollout grows."""
        if self.rollout is None:
            return None
        others = (a.name for a in self.backends if a.name != self.rollout.analysis.baseline)
        return self.rollout.candidate or next(others)


class Route(Settings):
    """One route. Names are unique over all files."""

    api_version: Literal["penstock/v1"]
    kind: Literal["Route"]
    metadata: Metadata
    spec: Spec


def _known(name: str | None, names: list[str], what: str) -> None:
    if name is not None and name not in names:
        raise ValueError(f"{what}, {name}, is no backend of this route")
