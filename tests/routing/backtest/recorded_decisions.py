"""Records as a gateway would make them, of users whose units are not sealed."""

from collections.abc import Mapping, Sequence
from typing import Any

from protos.principal import Principal
from protos.values import Headers
from routing.decisions import SUBJECT, Decision, Wanted
from routing.rules.split import Splitter, unit_by, unit_of
from routing.rules.table import RouteTable
from tests.routing.rules.written_routes import principal, request


def opened(user: bytes) -> bytes | None:
    """The other way round of no seal at all."""
    return user


def recorded(
    rules: RouteTable,
    who: Principal | None = None,
    *,
    at: float = 1000.0,
    model: str = "fraud",
    version: str = "",
    headers: Headers = (),
    weight: float = 1.0,
    chance: float = 0.5,
    **changes: Any,
) -> Decision:
    """What the rules make of a request, and the record of it."""
    asked = principal() if who is None else who
    found = rules.match(model, asked, headers)
    given = request(asked, model=model, version=version, headers=headers, route=found)
    arm = Splitter(lambda: chance).choose(found, given)
    sticky = found.spec.sticky
    unit = unit_of(found, given)
    key = sticky.key if sticky is not None and unit is not None else SUBJECT
    fields: dict[str, Any] = {
        "at": at,
        "route": found.name,
        "arm": arm.name,
        "revision": rules.revision,
        "model": model,
        "version": version,
        "served_model": arm.model,
        "served_version": arm.version,
        "tenant": asked.tenant,
        "weight": weight,
        "whole": True,
        "user": unit or unit_by(SUBJECT, given.context) or bytes(16),
        "key": key,
        "missing": sticky.key if sticky is not None and unit is None else "",
        "attributes": Wanted(rules.rules).of(asked, headers),
        "rows": 1,
        "compute_seconds": 0.01,
        "latency": 0.02,
        "code": 200,
    }
    return Decision(**{**fields, **changes})


def by_users(
    rules: RouteTable, count: int, each: Sequence[float] = (0.0,), **given: Any
) -> list[Decision]:
    """Requests of so many users, each at those times after 1000, in order."""
    found = [
        recorded(rules, principal(f"user {number}"), at=1000.0 + at, **given)
        for number in range(count)
        for at in each
    ]
    return sorted(found, key=lambda decision: decision.at)


def estimates(found: Mapping[Any, Any]) -> dict[Any, float]:
    """The figures without their intervals."""
    return {key: round(interval.estimate, 9) for key, interval in found.items()}
