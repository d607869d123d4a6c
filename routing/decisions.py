"""What is remembered of where a request went and why: enough to ask other rules, and no more.

A record holds no body, no subject, and of headers and claims only whether they fitted what some
match rule wants of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protos.principal import Principal
from protos.values import Headers
from routing.rules.glob import glob
from routing.rules.rule import Condition, Rule

SUBJECT = "jwt.sub"
ANY = "*"

Fits = Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Decision:
    """One request.

    `at` is Unix time in seconds. `arm`, `served_model` and `served_version` are "" for a request
    that got no arm; the version is the arm's as it is written. `model` and `version` are what the
    client asked for. `weight` is one over the probability that the record was kept; with `whole`
    all records of its user were kept or none, otherwise each for itself. `user` is the sealed unit
    by the sticky key `key`; `missing` is the route's sticky key if the request had no value for it.
    `attributes` has, for each header or claim that a rule names, which of
    the wanted values it fits; `*` is any value. `compute_seconds` is the request's share of the
    batch on the device, `latency` in seconds, `code` the HTTP status.
    """

    at: float
    route: str
    arm: str
    revision: str
    model: str
    version: str
    served_model: str
    served_version: str
    tenant: str
    weight: float
    whole: bool
    user: bytes
    key: str
    missing: str
    attributes: Mapping[str, Fits]
    rows: int
    compute_seconds: float
    latency: float
    code: int


class Wanted:
    """What the match rules want to know of headers and claims."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._conditions: dict[str, dict[str, Condition]] = {}
        for rule in rules:
            for condition in rule.conditions:
                of_name = self._conditions.setdefault(attribute(condition), {})
                of_name[str(condition.wanted)] = condition

    def of(self, principal: Principal, headers: Headers) -> dict[str, Fits]:
        """The attributes of a request's record."""
        if not self._conditions:
            return {}
        return {
            name: {
                ANY: _any(next(iter(conditions.values()))).holds(principal, headers),
                **{text: each.holds(principal, headers) for text, each in conditions.items()},
            }
            for name, conditions in self._conditions.items()
        }


def attribute(condition: Condition) -> str:
    """The attribute that a condition is about, such as `header x-beta`."""
    return f"{condition.kind} {condition.name}"


def holds(condition: Condition, attributes: Mapping[str, Fits]) -> bool | None:
    """Whether a condition held for a recorded request; None where the record doesn't tell."""
    fits = attributes.get(attribute(condition))
    if fits is None:
        return None
    known = fits.get(str(condition.wanted))
    if known is not None:
        return known
    if not fits[ANY]:
        return False
    values = [text for text, fitted in fits.items() if fitted and glob(text).exact]
    if any(map(condition.wanted.matches, values)):
        return True
    # A header has one value, so if that is known it is all there is; a claim may be a list.
    return False if values and condition.kind == "header" else None


def _any(condition: Condition) -> Condition:
    return Condition(condition.kind, condition.name, condition.key, glob(ANY))
