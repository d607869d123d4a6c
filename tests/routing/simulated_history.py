"""What happened in a simulated mesh, as values on which invariants are checked."""

from dataclasses import dataclass, field

from protos.errors import Kind


@dataclass(slots=True)
class Attempt:
    """One request at one backend. `present`: the table had this backend at the time."""

    request: str
    number: int
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
    possible: bool = False
    outcome: Kind | None = None
    refused_as_poison: bool = False


@dataclass(slots=True)
class History:
    """What happened. Times are in seconds since the beginning."""

    seed: int
    asked: dict[str, Asked] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    faults: list[tuple[float, str, str]] = field(default_factory=list)
    lost: int = 0
    deaths: dict[str, int] = field(default_factory=dict)  # by the poison request's id
    ejected: list[tuple[int, int]] = field(default_factory=list)  # at each ejection: of how many
    stale_accepted: list[str] = field(default_factory=list)
    epochs: dict[str, list[int]] = field(default_factory=dict)  # as snapshots had them
    out_of_service: list[str] = field(default_factory=list)  # in the end
    counters: dict[str, int] = field(default_factory=dict)
