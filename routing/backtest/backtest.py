"""What other rules would change, from the records of requests: users, load, routes."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TypeVar

from routing.backtest.impact import Impact, Load, Target
from routing.backtest.replay import Destination, Replay
from routing.backtest.tally import Tally, scaled
from routing.backtest.users import NO_ROUTE, Users
from routing.decisions import Decision
from routing.evidence.interval import Interval
from routing.rules.table import RouteTable

K = TypeVar("K")

LIMITED = 429  # a request that a limit refused, and that would have got an arm without

# The figures of a load. Device seconds are apart by where they were measured: on the model version
# itself; or on another, and then with the rows that they were for.
_FIGURES = 5
_REQUESTS = (1.0, 0.0, 0.0, 0.0, 0.0)
_ROWS = (0.0, 1.0, 0.0, 0.0, 0.0)
_FOREIGN_ROWS = (0.0, 0.0, 0.0, 1.0, 0.0)


class Backtest:
    """Takes records one by one, in the order of time; memory grows with users, not with records.

    `open_user` gives the unit that a record's user stands for, None for one of another key.
    """

    def __init__(self, table: RouteTable, open_user: Callable[[bytes], bytes | None]) -> None:
        self._replay = Replay(table, open_user)
        self._records = 0
        self._since = self._until = 0.0
        self._before: dict[Target, Tally] = defaultdict(lambda: Tally(_FIGURES))
        self._after: dict[Target, Tally] = defaultdict(lambda: Tally(_FIGURES))
        self._spent: dict[tuple[str, str], float] = defaultdict(float)  # device seconds
        self._rows: dict[tuple[str, str], float] = defaultdict(float)
        self._users: dict[str, Users] = defaultdict(Users)
        self._rematched: dict[tuple[str, str], Tally] = defaultdict(Tally)
        self._undetermined: dict[str, Tally] = defaultdict(Tally)
        self._refused: dict[str, Tally] = defaultdict(Tally)

    def add(self, decision: Decision) -> Destination | None:
        """Where the request would go; None for one that got no arm by its own fault."""
        self._since = decision.at if not self._records else self._since
        self._until = decision.at
        self._records += 1
        if not decision.arm and decision.code != LIMITED:
            return None
        found = self._replay.of(decision)
        if found.undetermined:
            self._undetermined[found.undetermined].add(decision, 1.0)
        if found.refused:
            self._refused[found.refused].add(decision, 1.0)
        if found.route is not None and found.route.name != decision.route:
            names = (decision.route or NO_ROUTE, found.route.name or NO_ROUTE)
            self._rematched[names].add(decision, 1.0)
        if decision.arm:
            self._served(decision)
            self._users[decision.route].add(decision, found)
        self._would_serve(decision, found)
        return found

    def impact(self) -> Impact:
        """What was found so far."""
        seconds = self.seconds
        return Impact(
            self._records,
            self._since,
            self._until,
            self._loads(self._before, seconds),
            self._loads(self._after, seconds),
            {route: users.moves() for route, users in sorted(self._users.items())},
            _rates(self._rematched, seconds),
            _rates(self._undetermined, seconds),
            _rates(self._refused, seconds),
        )

    @property
    def seconds(self) -> float:
        """The time that the records span, over which means are taken."""
        return max(1.0, self._until - self._since)

    def _served(self, decision: Decision) -> None:
        model = decision.served_model, decision.served_version
        rows, seconds = float(decision.rows), decision.compute_seconds
        target = Target(decision.route, decision.arm, *model)
        self._before[target].add(decision, 1.0, rows, seconds, 0.0, 0.0)
        self._spent[model] += decision.weight * seconds
        self._rows[model] += decision.weight * rows

    def _would_serve(self, decision: Decision, found: Destination) -> None:
        model = decision.served_model, decision.served_version
        for arm, share in found.arms:
            name = found.route.name if found.route else ""
            rows, seconds = share * decision.rows, share * decision.compute_seconds
            measured = (arm.model, arm.version) == model
            device = (seconds, 0.0, 0.0) if measured else (0.0, rows, seconds)
            target = Target(name, arm.name, arm.model, arm.version)
            self._after[target].add(decision, share, rows, *device)

    def _loads(self, tallies: Mapping[Target, Tally], seconds: float) -> dict[Target, Load]:
        return {target: self._load(target, tallies[target], seconds) for target in sorted(tallies)}

    def _load(self, target: Target, tally: Tally, seconds: float) -> Load:
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


def _rates(tallies: Mapping[K, Tally], seconds: float) -> dict[K, Interval]:
    found = {key: scaled(tally.total(), 1 / seconds) for key, tally in tallies.items()}
    return dict(sorted(found.items(), key=lambda each: each[1].estimate, reverse=True))
