"""Match rules in the form in which requests are held against them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from protos.principal import Principal
from protos.route.match import Match
from protos.values import Headers
from routing.rules.glob import Glob, glob
from routing.rules.loaded import Loaded
from routing.rules.sources import claim_values, header_value
from routing.rules.specificity import Specificity, rank


@dataclass(frozen=True, slots=True)
class Condition:
    """A claim or a header that has to have a value."""

    kind: Literal["claim", "header"]
    name: str
    key: bytes  # the header's name as transports give it
    wanted: Glob

    def holds(self, principal: Principal, headers: Headers) -> bool:
        if self.kind == "claim":
            return any(map(self.wanted.matches, claim_values(principal, self.name)))
        value = header_value(headers, self.key)
        return value is not None and self.wanted.matches(value)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.wanted}"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One match rule for those of its tenants that are equally specific."""

    route: str
    source: str
    line: int
    model: Glob
    tenants: tuple[Glob, ...]
    conditions: tuple[Condition, ...]
    specificity: Specificity

    def of_tenant(self, tenant: str) -> bool:
        return any(each.matches(tenant) for each in self.tenants)

    def unmet(self, principal: Principal, headers: Headers) -> Condition | None:
        """The first condition that doesn't hold."""
        for condition in self.conditions:
            if not condition.holds(principal, headers):
                return condition
        return None

    def meets(self, other: "Rule") -> bool:
        """Whether some request can satisfy both.

        Values of one claim or header that exclude each other keep rules apart; a claim that is a
        list may have both all the same, and then the route wins whose name comes first.
        """
        wanted = {(each.kind, each.key): each.wanted for each in other.conditions}
        return (
            self.model.meets(other.model)
            and any(mine.meets(theirs) for mine in self.tenants for theirs in other.tenants)
            and all(
                each.wanted.meets(wanted.get((each.kind, each.key), each.wanted))
                for each in self.conditions
            )
        )

    def __repr__(self) -> str:
        return f"<Rule {self.source}:{self.line} of {self.route}>"


def rules_of(loaded: Loaded) -> Iterator[Rule]:
    """The rules of a route; one of the document may become several, for tenants of each kind."""
    for index, match in enumerate(loaded.route.spec.match):
        line = loaded.document.line(("spec", "match", index))
        model = glob(match.model)
        conditions = _conditions(match)
        groups: dict[tuple[int, int], list[Glob]] = {}
        for tenant in map(glob, match.tenants):
            groups.setdefault(rank(tenant), []).append(tenant)
        for tenant_rank, tenants in groups.items():
            specificity = Specificity(
                rank(model),
                tenant_rank,
                len(match.claims),
                len(match.headers),
                sum(each.wanted.exact for each in conditions),
            )
            yield Rule(
                loaded.name, loaded.source, line, model, tuple(tenants), conditions, specificity
            )


def in_order(rules: Iterator[Rule]) -> list[Rule]:
    """The most specific first; the order of files and of rules in a file doesn't matter."""
    by_place = sorted(rules, key=lambda rule: (rule.route, rule.source, rule.line))
    return sorted(by_place, key=lambda rule: rule.specificity, reverse=True)


def _conditions(match: Match) -> tuple[Condition, ...]:
    claims = [Condition("claim", n, n.encode(), glob(v)) for n, v in match.claims.items()]
    headers = [
        Condition("header", n.lower(), n.lower().encode(), glob(v))
        for n, v in match.headers.items()
    ]
    return (*claims, *headers)
