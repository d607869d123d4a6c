"""Users by the arm that they had and the one that they would get."""

from collections.abc import Hashable, Sequence

from routing.backtest.impact import Moves
from routing.backtest.replay import Destination
from routing.decisions import Decision
from routing.evidence.interval import Interval
from routing.evidence.weighted import weighted_share, weighted_total

BY_CHANCE = "(by chance)"
REFUSED = "(refused)"
UNKNOWN = "(not known)"
NO_ROUTE = "(no route)"


class Users:
    """The users of one route, each with the arms of its last request."""

    def __init__(self) -> None:
        self._users: dict[bytes, tuple[str, str, float]] = {}

    def add(self, decision: Decision, found: Destination) -> None:
        # A user is seen if any of its records is; one whose requests are drawn singly always is.
        weight = decision.weight if decision.whole else 1.0
        known = self._users.get(decision.user)
        if known is not None:
            weight = min(weight, known[2])
        self._users[decision.user] = decision.arm, _place(decision, found), weight

    def moves(self) -> Moves:
        weights: dict[tuple[str, str], list[float]] = {}
        for before, after, weight in self._users.values():
            weights.setdefault((before, after), []).append(weight)
        moved: dict[Hashable, list[float]] = {}
        known: dict[Hashable, list[float]] = {}
        for (before, after), each in weights.items():
            if after not in (UNKNOWN, BY_CHANCE):
                for number, weight in enumerate(each):
                    moved[before, after, number] = [float(before != after)]
                    known[before, after, number] = [weight]
        return Moves(
            _count([weight for each in weights.values() for weight in each]),
            weighted_share(moved, known),
            {pair: _count(each) for pair, each in sorted(weights.items())},
        )


def _place(decision: Decision, found: Destination) -> str:
    if found.undetermined or found.route is None:
        return UNKNOWN
    if found.refused:
        return REFUSED
    if len(found.arms) != 1:
        return BY_CHANCE
    ((arm, _),) = found.arms
    name = found.route.name
    return arm.name if name == decision.route else f"{name or NO_ROUTE}/{arm.name}"


def _count(weights: Sequence[float]) -> Interval:
    ones: dict[Hashable, list[float]] = {number: [1.0] for number in range(len(weights))}
    return weighted_total(ones, {number: [weight] for number, weight in enumerate(weights)})
