"""What happened in a simulated mesh, as values on which invariants are checked."""

from dataclasses import dataclass, field

from protos.errors import TABLE, Kind
from tests.routing.simulated_store import Written


@dataclass(slots=True)
class Attempt:
    """One request at one backend. `present`: the table had this backend at the time."""

    request: str
    number: int
    version: str
    instance: str
    at: float
    present: bool
    outcome: Kind | None = None
    executed: bool = False


@dataclass(slots=True)
class Asked:
    """One request; `possible`: whether there was a backend to be tried when it came."""

    id: str
    at: float
    idempotent: bool
    poison: bool
    pinned: bool = False  # the client names the version
    possible: bool = False
    outcome: Kind | None = None
    refused_as_poison: bool = False
    arm: str = ""  # that served, or was to serve

    @property
    def clients_fault(self) -> bool:
        return self.outcome is not None and TABLE[self.outcome].fault == "client"


@dataclass(frozen=True, slots=True)
class Choice:
    """The arm that a request was given, by what was in force of its route then.

    `weight` is the candidate's in percent. `user` is empty where nothing says who asks, `version`
    where the client names none.
    """

    request: str
    at: float
    user: str
    version: str
    arm: str
    rollout: str
    weight: float


@dataclass(frozen=True, slots=True)
class Published:
    """What a gateway took from the store."""

    at: float
    rollout: str
    weight: float


@dataclass(slots=True)
class History:
    """What happened. Times are in seconds since the beginning."""

    seed: int
    asked: dict[str, Asked] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    faults: list[tuple[float, str, str]] = field(default_factory=list)
    lost: int = 0
    # By the poison request's id and the version that it was sent to.
    deaths: dict[tuple[str, str], int] = field(default_factory=dict)
    ejected: list[tuple[int, int]] = field(default_factory=list)  # at each ejection: of how many
    stale_accepted: list[str] = field(default_factory=list)
    epochs: dict[str, list[int]] = field(default_factory=dict)  # as snapshots had them
    out_of_service: list[str] = field(default_factory=list)  # in the end
    counters: dict[str, int] = field(default_factory=dict)
    # Of the route and its rollout.
    plan: str | None = None
    spoilt: tuple[float, str] | None = None  # since when the canary does harm, and which
    choices: list[Choice] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    troubles: list[float] = field(default_factory=list)  # when the store didn't answer as it should
    crashes: int = 0
    problems: list[str] = field(default_factory=list)  # that are the controllers' own
    unsettled: list[str] = field(default_factory=list)  # what doesn't agree in the end
