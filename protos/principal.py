"""Who asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Claims = Mapping[str, object]  # of a verified token, as JSON has them


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: verified identity, never a claim that was only asserted."""

    subject: str
    tenant: str
    scopes: frozenset[str]
    issuer: str = ""
    claims: Claims = field(default_factory=dict, compare=False, repr=False)

    def may_infer(self, model: str) -> bool:
        """Whether a scope `infer:<pattern>` covers the model; `*` stands for any run of letters."""
        return any(_covers(scope, "infer:", model) for scope in self.scopes)

    def may_join(self, model: str) -> bool:
        """Whether it may serve the model: by `backend:join`, or `backend:join:<pattern>`."""
        if "backend:join" in self.scopes:
            return True
        return any(_covers(scope, "backend:join:", model) for scope in self.scopes)

    def has(self, scope: str) -> bool:
        return scope in self.scopes


def _covers(scope: str, kind: str, model: str) -> bool:
    if not scope.startswith(kind):
        return False
    pattern = scope[len(kind) :]
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == model
    if "*" in tail:
        return False  # one star at most; such a scope is refused when a token is issued
    return len(model) >= len(head) + len(tail) and model.startswith(head) and model.endswith(tail)
