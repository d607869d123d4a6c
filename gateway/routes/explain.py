"""Says where a request would go and why, by the code that serves requests."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import fsum
from typing import Any, Literal

from gateway.routes.kinds import POLICY_KINDS
from gateway.routes.listed import Instance, Listed
from gateway.routes.question import Question
from protos.errors import PenstockError
from protos.route.snapshot import Arm, RouteSnapshot
from protos.values import InferRequest
from routing.resolve import resolve
from routing.rules.route import place
from routing.rules.rule import Rule
from routing.rules.split import Splitter, unit_of
from routing.rules.table import RouteTable

# A version that the client names, the only arm that has a weight, the sticky key, chance, or
# nothing: the request is refused.
By = Literal["pin", "only arm", "sticky", "chance", "refused"]

POLICIES = (
    *("limits", "cache", "privacy", "output", "plugins", "audit", "timeouts", "retries", "circuit"),
    *("priority", "sticky", "pins", "show_arm"),
)


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule and what became of it; the most specific comes first."""

    route: str
    source: str
    line: int
    specificity: str
    of_model: bool  # whether the rule is about the model at all
    won: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """An arm. `share` is in percent; `serves` the exact version, if it is known to serve."""

    name: str
    model: str
    version: str
    weight: float
    share: float
    fallback: str | None
    serves: str | None
    problem: str | None
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`route` is None for a model without one. `arm` is None where chance decides or none serves.

    `fallback_from` is the arm that can't serve and whose fallback `arm` is; `endpoints_known` says
    whether a gateway was asked for its endpoints.
    """

    model: str
    tenant: str
    version: str
    revision: str
    route: str | None
    rules: tuple[Tried, ...]
    arms: tuple[Choice, ...]
    chosen_by: By
    arm: str | None
    fallback_from: str | None
    target: dict[str, str] | None
    problem: str | None
    policies: dict[str, Any]
    mirrors: list[dict[str, Any]]
    rollout: dict[str, str | None] | None
    endpoints_known: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def explain(
    table: RouteTable,
    splitter: Splitter,
    question: Question,
    endpoints: Sequence[Mapping[str, Any]] | None,
) -> Explanation:
    """`endpoints` are the rows of the admin face; None where there is no gateway to ask."""
    route = table.match(question.model, question.principal, question.received)
    request = question.request(route)
    listed = None if endpoints is None else Listed(endpoints)
    by: By = "refused"
    arm: Arm | None = None
    fallback_from = target = problem = None
    try:
        chosen = splitter.choose(route, request)
        by = _by(route, request)
        if by != "chance":
            served, exact = chosen, chosen.version
            if listed is not None:
                served, exact = place(listed, route, chosen, request)
            arm = served
            fallback_from = None if served is chosen else chosen.name
            target = {"model": served.model, "version": exact}
    except PenstockError as error:
        problem = error.message
    spec = _policies(route)
    rollout = route.spec.rollout
    return Explanation(
        question.model,
        question.tenant,
        question.version,
        route.revision,
        None if route.implicit else route.name,
        tuple(_tried(table, question)),
        tuple(_choices(route, arm, listed)),
        by,
        None if arm is None else arm.name,
        fallback_from,
        target,
        problem,
        {} if route.implicit else spec,
        [each.model_dump(mode="json", by_alias=True) for each in route.mirrors],
        None if rollout is None else {"id": route.rollout, "candidate": route.spec.candidate},
        listed is not None,
    )


def _policies(route: RouteSnapshot) -> dict[str, Any]:
    """The blocks of the route; where one names a document, `mode` is what comes of both modes."""
    dumped = route.spec.model_dump(mode="json", by_alias=False, include=set(POLICIES))
    for kind in POLICY_KINDS:
        document: Any = route.policies.get((kind.name, kind.wanted(route.spec) or ""))
        if document is not None and document.spec.mode == "observe":
            dumped[kind.block]["mode"] = "observe"
    return {name: dumped[name] for name in POLICIES}


def _by(route: RouteSnapshot, request: InferRequest) -> By:
    if request.version:
        return "pin"
    if sum(arm.weight > 0 for arm in route.arms) == 1:
        return "only arm"
    return "chance" if unit_of(route, request) is None else "sticky"


def _tried(table: RouteTable, question: Question) -> list[Tried]:
    winner: Rule | None = None
    tried = []
    for rule in table.rules:
        reason = _unfit(rule, question)
        won = not reason and winner is None
        if won:
            winner = rule
        elif not reason and winner is not None:
            reason = _beaten(rule, winner)
        tried.append(
            Tried(
                rule.route,
                rule.source,
                rule.line,
                str(rule.specificity),
                rule.model.matches(question.model),
                won,
                reason or "the most specific that holds",
            )
        )
    return tried


def _unfit(rule: Rule, question: Question) -> str:
    """Why a rule doesn't hold; empty if it does."""
    if not rule.model.matches(question.model):
        return f"the model is not {rule.model}"
    if not rule.of_tenant(question.tenant):
        return f"the tenant is not {' or '.join(map(str, rule.tenants))}"
    unmet = rule.unmet(question.principal, question.received)
    return "" if unmet is None else f"the {unmet.kind} {unmet.name} is not {unmet.wanted}"


def _beaten(rule: Rule, winner: Rule) -> str:
    if rule.specificity < winner.specificity:
        return "holds, but is less specific"
    if rule.route == winner.route:
        return "holds as well, and is of the same route"
    return f"holds and is as specific, but {winner.route} comes first by name"


def _choices(route: RouteSnapshot, chosen: Arm | None, listed: Listed | None) -> list[Choice]:
    arms = list(route.arms)
    if chosen is not None and chosen not in arms:
        arms.append(chosen)  # of a version that the client chose
    total = fsum(arm.weight for arm in arms)
    return [_choice(arm, total, listed) for arm in arms]


def _choice(arm: Arm, total: float, listed: Listed | None) -> Choice:
    serves = problem = None
    instances: tuple[Instance, ...] = ()
    if listed is not None:
        try:
            serves = resolve(listed, arm.model, arm.version)
            instances = tuple(listed.serving(arm.model, serves))
        except PenstockError as error:
            problem = error.message
    share = arm.weight / total * 100 if total else 0.0
    return Choice(
        arm.name,
        arm.model,
        arm.version,
        arm.weight,
        share,
        arm.fallback,
        serves,
        problem,
        instances,
    )
