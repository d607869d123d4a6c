"""Where a recorded request would go by other rules, found by the code that serves requests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, inf

from protos.errors import PenstockError
from protos.principal import Principal
from protos.route.snapshot import Arm, RouteSnapshot
from protos.timeline import Timeline
from protos.values import Context
from routing.decisions import Decision, attribute, holds
from routing.rules.rule import Rule
from routing.rules.snapshot import implicit
from routing.rules.split import Division, pinned, salt_of, unit_by
from routing.rules.table import RouteTable

TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes: its route, and each arm that it may get with the probability.

    `arms` is empty for a request that the route refuses (`refused` says why), and for one of which
    the record doesn't tell where it goes (`undetermined` says what is missing); its route is None
    if not even that is known.
    """

    route: RouteSnapshot | None
    arms: Sequence[tuple[Arm, float]] = ()
    refused: str = ""
    undetermined: str = ""


class Replay:
    """`open_user` gives the unit that a record's user stands for, None for another key's."""

    def __init__(self, table: RouteTable, open_user: Callable[[bytes], bytes | None]) -> None:
        self._table = table
        self._open_user = open_user
        self._routes: Mapping[str, RouteSnapshot] = {each.name: each for each in table.snapshots()}
        self._rules: dict[tuple[str, str], Sequence[Rule]] = {}
        self._implicit: dict[str, RouteSnapshot] = {}
        self._divisions: dict[tuple[RouteSnapshot, str], Division | None] = {}

    def of(self, decision: Decision) -> Destination:
        found = self._match(decision)
        if isinstance(found, str):
            return Destination(None, undetermined=found)
        try:
            arms = self._arms(found, decision)
        except PenstockError as error:
            return Destination(found, refused=error.message)
        weighty = [arm for arm in arms if arm.weight > 0] or arms[:1]
        if len(weighty) == 1:
            return Destination(found, ((weighty[0], 1.0),))
        return self._split(found, weighty, decision)

    def _match(self, decision: Decision) -> RouteSnapshot | str:
        """The route, or what the record would have to tell."""
        for rule in self._candidates(decision.model, decision.tenant):
            missing = ""
            for condition in rule.conditions:
                known = holds(condition, decision.attributes)
                if known is False:
                    break
                if known is None:
                    missing = missing or f"whether {attribute(condition)} is {condition.wanted}"
            else:
                return missing or self._routes[rule.route]
        model = decision.model
        if model not in self._implicit:
            self._implicit[model] = implicit(model, self._table.revision)
        return self._implicit[model]

    def _candidates(self, model: str, tenant: str) -> Sequence[Rule]:
        """The rules that are about the model and the tenant, in the order in which they count."""
        found = self._rules.get((model, tenant))
        if found is None:
            found = self._rules[model, tenant] = [
                rule
                for rule in self._table.rules
                if rule.model.matches(model) and rule.of_tenant(tenant)
            ]
        return found

    def _arms(self, route: RouteSnapshot, decision: Decision) -> Sequence[Arm]:
        if not decision.version:
            return route.arms
        return pinned(route, decision.model, decision.version)

    def _split(self, route: RouteSnapshot, arms: Sequence[Arm], decision: Decision) -> Destination:
        sticky = route.spec.sticky
        if sticky is None or sticky.key == decision.missing:
            total = fsum(arm.weight for arm in arms)
            return Destination(route, tuple((arm, arm.weight / total) for arm in arms))
        unit: bytes | None
        if sticky.key == decision.key:
            unit = self._open_user(decision.user)
            if unit is None:
                return Destination(route, undetermined="the key that its user was sealed with")
        elif sticky.key == TENANT:
            unit = _tenant(decision.tenant)
        else:
            return Destination(route, undetermined=f"the sticky key {sticky.key}")
        if unit is None:
            return Destination(route, undetermined=f"the sticky key {sticky.key}")
        key = (route, decision.version)
        division = self._divisions.get(key)
        if division is None:
            division = self._divisions[key] = Division(arms, salt_of(route))
        return Destination(route, ((division.of(unit), 1.0),))


def _tenant(tenant: str) -> bytes | None:
    return unit_by(TENANT, Context(Principal("", tenant, frozenset()), inf, Timeline(0.0)))
