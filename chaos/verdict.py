"""What an experiment finds: promises kept or broken, and figures."""

from dataclasses import dataclass
from typing import Literal

State = Literal["kept", "broken", "not run"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that must hold.

    `timed` ones depend on how fast the machine is and how much else it does: a run on a quiet one
    holds them too, tests on a loaded one don't.
    """

    holds: bool
    what: str
    measured: str = ""
    wanted: str = ""
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that is reported, whatever it is."""

    what: str
    value: str


@dataclass(frozen=True, slots=True)
class Step:
    """What was done to the mesh, and when; `until` is None for what happened at once."""

    what: str
    at: float
    until: float | None = None
