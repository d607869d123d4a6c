"""What other rules would change, from the records of requests: users, load, routes.

Each record is replayed through the rules in force and through the others, and those two are
compared. What happened when it was made doesn't count: records outlive edits of the rules, retired
routes and steps of rollouts, and none of that is a change that the others would make.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from routing.backtest.impact import Impact, Load, Moves, Target
from routing.backtest.replay import Destination, Replay
from routing.backtest.tally import Tally, scaled
from routing.backtest.users import BY_CHANCE, NO_ROUTE, REFUSED, UNKNOWN, Users
from routing.decisions import Decision
from routing.evidence.interval import Interval
from routing.rules.table import RouteTable

K = TypeVar("K")

LIMITED = 429  # a request that a limit refused, and that would have got an arm without
NOT_FOUND = 404

# The figures of a load. Device seconds are apart by where they were measured: on the model version
# itself; or on another, and then with the rows that they were for.
_FIGURES = 5
_REQUESTS = (1.0, 0.0, 0.0, 0.0, 0.0)
_ROWS = (0.0, 1.0, 0.0, 0.0, 0.0)
_FOREIGN_ROWS = (0.0, 0.0, 0.0, 1.0, 0.0)

_Tallies = dict[Target, Tally]


class Backtest:
    """Takes records one by one, in the order of time; memory grows with users, not with records.

    `open_user` gives the unit that a record's user stands for, None for one of another key.
    """

    def __init__(
        self,
        in_force: RouteTable,
        proposed: RouteTable,
        open_user: Callable[[bytes], bytes | None],
    ) -> None:
        self._revision = in_force.revision
        self._in_force = Replay(in_force, open_user)
        self._proposed = Replay(proposed, open_user)
        self._records = self._elsewhere = 0
        self._since = self._until = 0.0
        self._complete = True
        self._before: _Tallies = defaultdict(lambda: Tally(_FIGURES))
        self._after: _Tallies = defaultdict(lambda: Tally(_FIGURES))
        self._spent: dict[tuple[str, str], float] = defaultdict(float)  # device seconds
        self._rows: dict[tuple[str, str], float] = defaultdict(float)
        self._users: dict[str, Users] = defaultdict(Users)
        self._comparable: dict[str, Users] = defaultdict(Users)  # whose arms are known in both
        self._rematched: dict[tuple[str, str], Tally] = defaultdict(Tally)
        self._undetermined: dict[str, Tally] = defaultdict(Tally)
        self._refused: dict[str, Tally] = defaultdict(Tally)
        self._unserved = Tally()

    def add(self, decision: Decision) -> tuple[Destination, Destination] | None:
        """Where the request goes by the rules in force, and by the others.

        None for one that got no arm by its own fault.
        """
        self._since = decision.at if not self._records else self._since
        self._until = decision.at
        self._records += 1
        self._elsewhere += decision.revision != self._revision
        self._complete = self._complete and decision.weight == 1.0
        if not decision.arm and decision.code not in (LIMITED, NOT_FOUND):
            return None
        before = _found(self._in_force, decision)
        after = _found(self._proposed, decision)
        if before.refused and after.refused:
            self._unserved.add(decision, 1.0)
        else:
            self._compare(decision, before, after)
        return before, after

    def impact(self) -> Impact:
        """What was found so far."""
        seconds = self.seconds
        return Impact(
            self._records,
            self._elsewhere,
            self._complete,
            self._since,
            self._until,
            self._loads(self._before, seconds),
            self._loads(self._after, seconds),
            {route: self._moves(route) for route in sorted(self._users)},
            _rates(self._rematched, seconds),
            _rates(self._undetermined, seconds),
            _rates(self._refused, seconds),
            scaled(self._unserved.total(), 1 / seconds),
        )

    @property
    def seconds(self) -> float:
        """The time that the records span, over which means are taken."""
        return max(1.0, self._until - self._since)

    def _compare(self, decision: Decision, before: Destination, after: Destination) -> None:
        missing = after.undetermined or before.undetermined
        if missing:
            self._undetermined[missing].add(decision, 1.0)
        else:
            # A request that is placed by one of both only would look like load that comes or goes.
            _load(self._before, decision, before)
            _load(self._after, decision, after)
            self._measure(decision)
        if after.refused:
            self._refused[after.refused].add(decision, 1.0)
        if before.route is None:
            return
        name = before.route.name
        if after.route is not None and after.route.name != name:
            names = (name or NO_ROUTE, after.route.name or NO_ROUTE)
            self._rematched[names].add(decision, 1.0)
        in_force = replace(decision, route=name, arm=_arm(before))
        self._users[name].add(in_force, after)
        if _certain(before) and _certain(after):
            self._comparable[name].add(in_force, after)

    def _measure(self, decision: Decision) -> None:
        if decision.arm and decision.code != NOT_FOUND:
            model = decision.served_model, decision.served_version
            self._spent[model] += decision.weight * decision.compute_seconds
            self._rows[model] += decision.weight * decision.rows

    def _moves(self, route: str) -> Moves:
        moved = self._comparable[route].moves().moved
        return replace(self._users[route].moves(), moved=moved)

    def _loads(self, tallies: _Tallies, seconds: float) -> dict[Target, Load]:
        return {target: self._rate(target, tallies[target], seconds) for target in sorted(tallies)}

    def _rate(self, target: Target, tally: Tally, seconds: float) -> Load:
        rows = self._rows.get((target.model, target.version), 0.0)
        if rows:
            a_row = self._spent[target.model, target.version] / rows
            device = (0.0, 0.0, 1.0, a_row, 0.0)
        else:
            device = (0.0, 0.0, 1.0, 0.0, 1.0)
        return Load(
            requests=scaled(tally.total(_REQUESTS), 1 / seconds),
            rows=scaled(tally.total(_ROWS), 1 / seconds),
            device_seconds=scaled(tally.total(device), 1 / seconds),
            assumed=not rows and tally.total(_FOREIGN_ROWS).estimate > 0,
        )


def _found(replay: Replay, decision: Decision) -> Destination:
    """Where a request goes; the model version that it was told isn't there refuses it again."""
    found = replay.of(decision)
    if decision.code != NOT_FOUND or not found.arms:
        return found
    absent = decision.served_model, decision.served_version
    if any((arm.model, arm.version) != absent for arm, _ in found.arms):
        return found
    return replace(found, arms=(), refused="there is no such model or version")


def _load(tallies: _Tallies, decision: Decision, found: Destination) -> None:
    model = decision.served_model, decision.served_version
    for arm, share in found.arms:
        name = found.route.name if found.route else ""
        rows, seconds = share * decision.rows, share * decision.compute_seconds
        measured = (arm.model, arm.version) == model
        device = (seconds, 0.0, 0.0) if measured else (0.0, rows, seconds)
        target = Target(name, arm.name, arm.model, arm.version)
        tallies[target].add(decision, share, rows, *device)


def _arm(found: Destination) -> str:
    if found.undetermined:
        return UNKNOWN
    if found.refused:
        return REFUSED
    return found.arms[0][0].name if len(found.arms) == 1 else BY_CHANCE


def _certain(found: Destination) -> bool:
    return bool(found.refused) or len(found.arms) == 1


def _rates(tallies: Mapping[K, Tally], seconds: float) -> dict[K, Interval]:
    found = {key: scaled(tally.total(), 1 / seconds) for key, tally in tallies.items()}
    return dict(sorted(found.items(), key=lambda each: each[1].estimate, reverse=True))
