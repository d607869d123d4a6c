"""Route documents for tests, written as operators write them."""

from math import inf
from typing import Any

import yaml

from protos.principal import Principal
from protos.route.document import Route
from protos.strict_yaml import read, validate
from protos.timeline import Timeline
from protos.values import Context, Headers, InferRequest, Tensors
from routing.rules.effect import Effect
from routing.rules.loaded import Loaded
from routing.rules.table import RouteTable

STABLE: dict[str, Any] = {"name": "stable", "model": "fraud", "version": "3", "weight": 95}
CANARY: dict[str, Any] = {"name": "canary", "model": "fraud", "version": "4", "weight": 5}
STEPS: dict[str, Any] = {
    "steps": [{"setWeight": 5}],
    "analysis": {"baseline": "stable", "metrics": [{"name": "error_rate", "maxDelta": "1pp"}]},
}


def text(name: str = "fraud", **spec: Any) -> str:
    """A document; without `match` and `backends` the model `fraud` at 95 to 5."""
    return yaml.safe_dump(
        {
            "apiVersion": "penstock/v1",
            "kind": "Route",
            "metadata": {"name": name},
            "spec": {"match": [{"model": "fraud"}], "backends": [STABLE, CANARY], **spec},
        },
        sort_keys=False,
    )


def privacy(name: str = "bank", **spec: Any) -> str:
    """A privacy policy; without a spec it restores all that is found."""
    return yaml.safe_dump(
        {
            "apiVersion": "penstock/v1",
            "kind": "Privacy",
            "metadata": {"name": name},
            "spec": spec,
        },
        sort_keys=False,
    )


def route(name: str = "fraud", **spec: Any) -> Loaded:
    source, written = f"{name}.yaml", text(name, **spec)
    document = read(written, source)
    return Loaded(source, written, document, validate(document, Route))


def table(*routes: Loaded, effects: tuple[Effect, ...] = ()) -> RouteTable:
    return RouteTable(routes, {effect.route: effect for effect in effects})


def principal(
    subject: str = "someone", tenant: str = "acme", issuer: str = "bank-sso", **claims: Any
) -> Principal:
    return Principal(subject, tenant, frozenset(), issuer, claims)


def request(
    who: Principal | None = None,
    *,
    model: str = "fraud",
    version: str = "",
    headers: Headers = (),
    route: Any = None,
) -> InferRequest:
    context = Context(who or principal(), inf, Timeline(0.0), route=route, headers=headers)
    return InferRequest("", model, version, Tensors(()), {}, context)
