"""A record store in memory with the rules of the real one, at which things can go wrong.

`test_simulated_store` holds it against SQLite.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import OperationalError

from gateway.store.leader import Fence
from routing.evidence.counts import ArmCounts, PairCounts
from routing.rollout.event import Event
from routing.rollout.state import RolloutState
from routing.shadow.record import PairRecord


@dataclass(frozen=True, slots=True)
class Written:
    """One change of a rollout; `at` is the simulation's time."""

    at: float
    previous: RolloutState | None
    state: RolloutState
    events: tuple[Event, ...]
    fence: Fence | None


@dataclass(slots=True)
class Rows:
    """What is in the database, and everything that was ever written about rollouts."""

    states: dict[str, RolloutState] = field(default_factory=dict)
    written: list[Written] = field(default_factory=list)
    leads: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    told: set[tuple[str, float, str, str]] = field(default_factory=set)
    arms: list[tuple[float, str, str, str, ArmCounts]] = field(default_factory=list)
    pairs: list[PairRecord] = field(default_factory=list)
    deposed: int = 0  # writes refused for their fence
    overtaken: int = 0  # and for the version that they were made from


def lost() -> OperationalError:
    return OperationalError("a statement", {}, Exception("the connection was lost"))


class SimulatedStore:
    """One process' access to the rows, in place of `gateway.store.engine.Store`.

    `meanwhile` is called before each question ("ask"), and before and after a change ("write",
    "written"); it may raise, or let others do something.
    """

    def __init__(
        self,
        rows: Rows,
        clock: Callable[[], float] = lambda: 0.0,
        meanwhile: Callable[[str], None] = lambda moment: None,
    ) -> None:
        self.rollouts = _Rollouts(rows, clock, meanwhile)
        self.leader = _Leader(rows, meanwhile)
        self.arms = _Arms(rows, meanwhile)
        self.pairs = _Pairs(rows, meanwhile)
        self.audit = _Audit(rows, meanwhile)


class _Rollouts:
    def __init__(self, rows, clock, meanwhile) -> None:
        self._rows, self._clock, self._meanwhile = rows, clock, meanwhile

    def all(self) -> list[RolloutState]:
        self._meanwhile("ask")
        return [self._rows.states[name] for name in sorted(self._rows.states)]

    def get(self, route: str) -> RolloutState | None:
        self._meanwhile("ask")
        return self._rows.states.get(route)

    def write(
        self,
        state: RolloutState,
        *,
        expected_version: int | None,
        fence: Fence | None,
        events: Sequence[Event],
    ) -> bool:
        self._meanwhile("write")
        rows = self._rows
        if fence is not None:
            holder, epoch, _ = rows.leads.get(fence.name, ("", 0, 0.0))
            if (holder, epoch) != (fence.holder, fence.epoch):
                rows.deposed += 1
                return False
        previous = rows.states.get(state.route)
        if (None if previous is None else previous.version) != expected_version:
            rows.overtaken += 1
            return False
        rows.states[state.route] = state
        rows.written.append(Written(self._clock(), previous, state, tuple(events), fence))
        self._meanwhile("written")
        return True


class _Leader:
    def __init__(self, rows, meanwhile) -> None:
        self._rows, self._meanwhile = rows, meanwhile
        self._seen: dict[str, tuple[tuple[str, int, float], float]] = {}

    def hold(self, name: str, holder: str, now: float, ttl: float) -> Fence | None:
        self._meanwhile("ask")
        lease = self._rows.leads.get(name)
        epoch = 1
        if lease is not None:
            present, epoch, until = lease
            if present != holder:
                if until > now and not self._stale(name, lease, now, ttl):
                    return None
                epoch += 1
        self._rows.leads[name] = holder, epoch, now + ttl
        return Fence(name, holder, epoch)

    def _stale(self, name: str, lease: tuple[str, int, float], now: float, ttl: float) -> bool:
        seen, since = self._seen.get(name, (None, now))
        if seen != lease or now < since:
            since = now
        self._seen[name] = lease, since
        return now - since >= ttl


class _Arms:
    def __init__(self, rows, meanwhile) -> None:
        self._rows, self._meanwhile = rows, meanwhile

    def add(self, replica: str, at: float, route: str, rollout: str, counts) -> None:
        self._meanwhile("write")
        told = replica, at, route, rollout
        if counts and told not in self._rows.told:
            self._rows.told.add(told)
            self._rows.arms += [(at, route, rollout, arm, each) for arm, each in counts.items()]
        self._meanwhile("written")

    def sum(self, route: str, since: float, *, rollout: str = "") -> dict[str, ArmCounts]:
        self._meanwhile("ask")
        sums: dict[str, ArmCounts] = {}
        for at, of, by, arm, counts in self._rows.arms:
            if of == route and at >= since and rollout in ("", by):
                sums.setdefault(arm, ArmCounts()).merge(counts)
        return sums


class _Pairs:
    def __init__(self, rows, meanwhile) -> None:
        self._rows, self._meanwhile = rows, meanwhile

    def append(self, records: Sequence[PairRecord]) -> None:
        self._meanwhile("ask")
        self._rows.pairs += records

    def counts(self, route: str, *, since: float = 0.0, rollout: str = "") -> PairCounts:
        self._meanwhile("ask")
        counts = PairCounts()
        for each in self._rows.pairs:
            if each.route == route and each.at >= since and rollout in ("", each.rollout):
                counts.sampled += 1
                if each.status == "compared":
                    counts.add(not each.outcome.agrees, None)
        return counts


class _Audit:
    def __init__(self, rows, meanwhile) -> None:
        self._rows, self._meanwhile = rows, meanwhile

    def read(self, *, route: str, limit: int) -> list[Event]:
        self._meanwhile("ask")
        events = (event for each in self._rows.written for event in each.events)
        return [event for event in events if event.route == route][-limit:]
