"""All routes as one immutable table; reloading makes another."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.values import Headers
from routing.rules.effect import Effect
from routing.rules.loaded import Loaded, LoadedPolicy, revision_of
from routing.rules.rule import Rule, in_order, rules_of
from routing.rules.snapshot import implicit, snapshot

# Pairs of model and tenant whose rules are remembered. A client may ask for any name, so they are
# forgotten together when there are too many, and very long ones are not remembered at all.
REMEMBERED = 10_000
LONGEST = 256  # characters

# The most specific first; None stands for the implicit route, which always holds.
Candidates = tuple[tuple[Rule | None, RouteSnapshot], ...]


class RouteTable:
    """`rules` are in the order in which they are tried; `revision` names the documents in force.

    `effects` has what rollouts have made of the routes, by route. Documents are taken as they are:
    what holds between them has been checked (gateway/routes/documents.py).
    """

    def __init__(
        self,
        documents: Sequence[Loaded],
        effects: Mapping[str, Effect],
        policies: Sequence[LoadedPolicy] = (),
    ) -> None:
        self.revision = revision_of((*documents, *policies))
        self.policies = {(each.kind, each.name): each.policy for each in policies}
        self.rules = tuple(in_order(rule for each in documents for rule in rules_of(each)))
        self._snapshots = {
            each.name: snapshot(each.route, self.revision, effects.get(each.name), self.policies)
            for each in documents
        }
        self._exact: dict[str, list[Rule]] = defaultdict(list)
        self._patterns: list[Rule] = []
        for rule in self.rules:
            (self._exact[rule.model.head] if rule.model.exact else self._patterns).append(rule)
        self._remembered: dict[tuple[str, str], Candidates] = {}

    def snapshots(self) -> Iterable[RouteSnapshot]:
        """The routes of all documents, by name."""
        return self._snapshots.values()

    @property
    def public(self) -> Iterable[str]:
        """The models that rules name, patterns apart."""
        return self._exact.keys()

    def names(self, model: str) -> bool:
        """Whether a rule is about this very model; a pattern is about too many to be told apart."""
        return model in self._exact

    def match(self, model: str, principal: Principal, headers: Headers) -> RouteSnapshot:
        """The route of a request; one of its own for a model that no rule takes."""
        tenant = principal.tenant
        found = self._remembered.get((model, tenant))
        for rule, route in found or self._learn(model, tenant):
            # Most rules have no conditions, and then nobody looks at headers.
            if rule is None or not rule.conditions or rule.unmet(principal, headers) is None:
                return route
        raise AssertionError("the last candidate always holds")

    def _learn(self, model: str, tenant: str) -> Candidates:
        """The rules that a model's and tenant's requests can fit, up to one that always holds."""
        rules = (*self._exact.get(model, ()), *self._patterns)  # exact ones are more specific
        found: list[tuple[Rule | None, RouteSnapshot]] = []
        for rule in rules:
            if rule.model.matches(model) and rule.of_tenant(tenant):
                found.append((rule, self._snapshots[rule.route]))
                if not rule.conditions:
                    break
        else:
            found.append((None, implicit(model, self.revision)))
        candidates = tuple(found)
        if len(model) <= LONGEST and len(tenant) <= LONGEST:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[model, tenant] = candidates
        return candidates

    def __repr__(self) -> str:
        return f"<RouteTable {self.revision}: {len(self._snapshots)} routes>"
