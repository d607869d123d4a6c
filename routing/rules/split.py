"""Divides a route's requests among its arms: the same user to the same arm, on every replica.

Weighted rendezvous hashing (Thaler & Ravishankar 1998; with weights: Schindelhauer & Schomaker,
"Weighted Distributed Hash Tables", 2005). Each arm draws a number u in (0, 1) for a user, a hash of
both, and the arm with the greatest -weight / ln(u) gets the user. Shares are the weights' exactly;
raising one weight only moves users to that arm, lowering it only away from it. Nothing is shared or
stored: the hashes have no key, so every replica and every restart finds the same.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

from protos.errors import Kind, PenstockError, invalid
from protos.route.match import PINNED
from protos.route.snapshot import Arm, RouteSnapshot
from protos.values import Context, InferRequest
from protos.wording import quote
from routing.rules.sources import sticky_source

_EMPTY = blake2b(digest_size=16)  # to copy, at half the cost of making one
_STEP = 2.0**-52
_int, _log = int.from_bytes, math.log
DIVISIONS = 4096  # snapshots whose hashes are kept; older ones are forgotten together


class Division:
    """Arms with their weights, prepared for drawing; the order of the arms doesn't matter.

    Only the ratio between weights does. Arms of weight 0 get nobody; ValueError if all are 0.
    """

    def __init__(self, arms: Iterable[Arm], salt: str) -> None:
        self._arms = sorted((arm for arm in arms if arm.weight > 0), key=lambda arm: arm.name)
        if not self._arms:
            raise ValueError("every arm's weight is 0")
        self._total = math.fsum(arm.weight for arm in self._arms)
        self._prefixes = [
            (arm, arm.weight, blake2b(f"{salt}\0{arm.name}\0".encode(), digest_size=8))
            for arm in self._arms
        ]

    @property
    def single(self) -> bool:
        return len(self._arms) == 1

    def of(self, unit: bytes) -> Arm:
        """The arm of a user."""
        chosen, least = self._arms[0], math.inf
        for arm, weight, prefix in self._prefixes:
            digest = prefix.copy()
            digest.update(unit)
            # 52 bits and a half: neither 0 nor 1 after rounding.
            drawn = ((_int(digest.digest(), "big") >> 12) + 0.5) * _STEP
            waits = -_log(drawn) / weight  # its inverse is the score
            if waits < least:
                chosen, least = arm, waits
        return chosen

    def by_chance(self, number: float) -> Arm:
        """The arm of a request of nobody in particular; `number` in [0, 1) is the chance."""
        left = number * self._total
        for arm in self._arms:
            left -= arm.weight
            if left < 0:
                return arm
        return self._arms[-1]


def arm_of(arms: Sequence[Arm], salt: str, unit: bytes) -> Arm:
    """The arm of a user (`unit_of`) among such arms; ValueError if every weight is 0."""
    return Division(arms, salt).of(unit)


def unit_of(route: RouteSnapshot, request: InferRequest) -> bytes | None:
    """16 bytes that stand for the user, None where the route or the request names none.

    A hash without a key: whoever knows the value can tell the unit, so it is no pseudonym.
    """
    sticky = route.spec.sticky
    return None if sticky is None else unit_by(sticky.key, request.context)


def unit_by(key: str, context: Context) -> bytes | None:
    """The same by another sticky key than the route's."""
    value = sticky_source(key)(context)
    if not value:
        return None
    digest = _EMPTY.copy()
    digest.update(value.encode("utf-8", "surrogatepass"))
    return digest.digest()


class Splitter:
    """Chooses the arm of a request. `rng` gives numbers in [0, 1)."""

    def __init__(self, rng: Callable[[], float]) -> None:
        self._rng = rng
        self._divisions: dict[RouteSnapshot, Division] = {}

    def choose(self, route: RouteSnapshot, request: InferRequest) -> Arm:
        """Raises NOT_FOUND or INVALID for a version that the route lets nobody pin."""
        if request.version:
            return self._pinned(route, request)
        if len(route.arms) == 1:
            return route.arms[0]
        division = self._divisions.get(route) or self._learn(route)
        return self._drawn(division, route, request)

    def _drawn(self, division: Division, route: RouteSnapshot, request: InferRequest) -> Arm:
        if division.single:
            return division.by_chance(0.0)
        unit = unit_of(route, request)
        return division.by_chance(self._rng()) if unit is None else division.of(unit)

    def _learn(self, route: RouteSnapshot) -> Division:
        if len(self._divisions) >= DIVISIONS:
            self._divisions.clear()
        division = self._divisions[route] = Division(route.arms, salt_of(route))
        return division

    def _pinned(self, route: RouteSnapshot, request: InferRequest) -> Arm:
        """An arm of the version that the client names; several of them share as they always do."""
        arms = pinned(route, request.model, request.version)
        if len(arms) == 1:
            return arms[0]
        return self._drawn(Division(arms, salt_of(route)), route, request)


def pinned(route: RouteSnapshot, model: str, version: str) -> Sequence[Arm]:
    """The arms that a version which the client names leaves to choose from.

    Raises NOT_FOUND or INVALID for a version that the route lets nobody pin.
    """
    if route.spec.pins == "refuse":
        raise invalid(f"version: of model {quote(model)} none can be chosen")
    arms = [arm for arm in route.arms if arm.version == version]
    if arms:
        return [arm for arm in arms if arm.weight > 0] or arms[:1]
    if route.spec.pins == "any":
        return [Arm(PINNED, model, version, 0.0)]
    allowed = sorted({arm.version for arm in route.arms if arm.version})
    choice = f"it has {', '.join(allowed)}" if allowed else "none can be chosen"
    raise PenstockError(
        Kind.NOT_FOUND, f"model {quote(model)} has no version {quote(version)}; {choice}"
    )


def salt_of(route: RouteSnapshot) -> str:
    """By which the users of a route are shuffled."""
    return "" if route.spec.sticky is None else route.spec.sticky.salt
