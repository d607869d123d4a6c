"""Fixes a request's target: the arm of its route, and the exact version of the arm's model."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from protos.errors import Kind, PenstockError
from protos.route.snapshot import Arm, RouteSnapshot
from protos.service import Reply, Service
from protos.timeline import Attempt, Target, Timeline
from protos.values import InferRequest
from protos.wording import quote
from routing.resolve import Versions, aimed, resolve
from routing.retry import Budgets
from routing.rules.snapshot import implicit
from routing.rules.split import Splitter

ADMIN = "admin"


class Usable(Protocol):
    @property
    def usable(self) -> bool: ...


class Serving(Versions, Protocol):
    """What placing has to know of the endpoints."""

    def serving(self, model: str, version: str) -> Sequence[Usable]: ...


class Place(NamedTuple):
    """Where a request goes: the arm, which may be another's fallback, and the exact version."""

    arm: Arm
    version: str


def place(table: Serving, route: RouteSnapshot, arm: Arm, request: InferRequest) -> Place:
    """The arm's place, or that of the first of its fallbacks that can serve while it can't.

    A version that the client named is what the client gets or nothing. Raises UNAVAILABLE when
    there is no place, and for a model without a route whatever `resolve` raises.
    """
    try:
        own = Place(arm, resolve(table, arm.model, arm.version))
    except PenstockError as error:
        if arm.fallback is not None and not request.version:
            found = _fallback(table, route, arm)
            if found is not None:
                return found
        if route.arm(arm.name) is None or route.implicit:
            raise
        raise _unavailable(request) from error
    if arm.fallback is None or request.version or _usable(table, own):
        return own
    # With nobody to turn to, the arm's own endpoints are tried, doubtful as they are.
    return _fallback(table, route, arm) or own


def _fallback(table: Serving, route: RouteSnapshot, arm: Arm) -> Place | None:
    seen = {arm.name}
    following = arm.fallback
    while following is not None and following not in seen:
        seen.add(following)
        next_arm = route.arm(following)
        if next_arm is None:
            return None
        try:
            found = Place(next_arm, resolve(table, next_arm.model, next_arm.version))
        except PenstockError:
            pass
        else:
            if _usable(table, found):
                return found
        following = next_arm.fallback
    return None


def _usable(table: Serving, place: Place) -> bool:
    return any(each.usable for each in table.serving(place.arm.model, place.version))


def _unavailable(request: InferRequest) -> PenstockError:
    """In the words of the client, who knows the route's model and not the arm's."""
    what = f"model {quote(request.model)}"
    if request.version:
        what += f" version {quote(request.version)}"
    return PenstockError(Kind.UNAVAILABLE, f"{what} is not available now", retry_after=1.0)


def _sent_to(request: InferRequest, found: Place) -> InferRequest:
    """The request on its way, which its timeline tells."""
    timeline = request.context.timeline
    timeline.arm = found.arm.name
    timeline.target = target = Target(found.arm.name, found.arm.model, found.version)
    return aimed(request, target)


def _own(timeline: Timeline) -> Iterable[Attempt]:
    return (each for each in timeline.attempts if not each.shadow and not each.inner)


class Split:
    """The filter; `fallbacks` counts requests that went to another arm than they were split to.

    `budgets` pay for those that have been at a backend before, as for every attempt after the
    first; `clock` is the event loop's.
    """

    def __init__(
        self, table: Serving, splitter: Splitter, budgets: Budgets, clock: Callable[[], float]
    ) -> None:
        self._table = table
        self._splitter = splitter
        self._budgets = budgets
        self._clock = clock
        self.fallbacks = 0

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        # Not a coroutine: what the service returns is awaited by the caller, one frame less.
        context = request.context
        route = context.route or implicit(request.model)
        timeline = context.timeline
        timeline.pinned = bool(request.version)
        arm = self._splitter.choose(route, request)
        timeline.route = route.name
        timeline.arm = arm.name  # before anything can fail, as a failure is the arm's as well
        timeline.arm_shown = not route.implicit and (
            route.spec.show_arm == "callers" or context.principal.has(ADMIN)
        )
        found = place(self._table, route, arm, request)
        if found.arm is not arm:
            self.fallbacks += 1
        if found.arm.fallback is not None and not request.version:
            return self._served(request, service, route, found)
        return service(_sent_to(request, found))

    async def _served(
        self, request: InferRequest, service: Service, route: RouteSnapshot, found: Place
    ) -> Reply:
        """By the place, or by the next fallback of an arm that turns out not to be reachable.

        That kind of failure is of calls that nobody began, or that nobody is left to repeat: who
        may not be repeated fails otherwise.
        """
        timeline = request.context.timeline
        tried = {found.arm.name}
        while True:
            try:
                return await service(_sent_to(request, found))
            except PenstockError as error:
                if error.kind is not Kind.UNAVAILABLE or "sequence_id" in request.parameters:
                    raise
                following = _fallback(self._table, route, found.arm)
                if following is None or following.arm.name in tried:
                    raise
                errors = {each.error for each in _own(timeline)}
                lost = Kind.LOST.name in errors
                if not self._allowed(request, route, lost or Kind.CUT_OFF.name in errors):
                    raise
                if lost and not request.context.suspect:
                    request = replace(request, context=replace(request.context, suspect=True))
                found = following
                tried.add(found.arm.name)
                timeline.fell_back = True
                self.fallbacks += 1

    def _allowed(self, request: InferRequest, route: RouteSnapshot, lost: bool) -> bool:
        """Whether it may be asked for once more: as for a retry, if it was asked for at all."""
        now, asked = self._clock(), len(request.context.timeline.instances)
        if now >= request.context.deadline or asked > route.spec.retries.max:
            return False
        if not asked:
            return True
        budgets = self._budgets
        return (budgets.of_lost(request) if lost else budgets.of(request)).withdraw(now)

    def __repr__(self) -> str:
        return f"<Split {self.fallbacks} fallbacks>"
