import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply, Service
from protos.timeline import Attempt, Target
from protos.values import InferRequest, Part, Tensors
from routing.retry import RESERVE, Budget, Budgets
from routing.rules.route import Split
from routing.rules.snapshot import snapshot
from routing.rules.split import Splitter
from tests.routing.rules.written_routes import CANARY, STABLE, principal, request, route

REPLY = Reply(Part(Tensors(()), "", {}, True))


@dataclass
class At:
    usable: bool = True


class Endpoints:
    """Serves `model/version`; in `doubtful` none is usable, `loading` are known but not ready."""

    def __init__(self, *ready: str, doubtful: tuple[str, ...] = (), loading: str = "") -> None:
        self._serving = {name: [At()] for name in ready}
        self._serving |= {name: [At(usable=False)] for name in doubtful}
        self._known = sorted({*ready, *doubtful, *loading.split()})

    def versions(self, model: str) -> Sequence[str]:
        return [version for name in self._known for m, version in [name.split("/")] if m == model]

    def serving(self, model: str, version: str) -> Sequence[At]:
        return self._serving.get(f"{model}/{version}", ())

    def may_come(self, model: str) -> bool:
        return False


class Asked:
    """A service that remembers the last request."""

    def __init__(self) -> None:
        self.last: InferRequest | None = None

    async def __call__(self, request: InferRequest) -> Reply:
        self.last = request
        return REPLY

    @property
    def target(self) -> Target:
        assert self.last is not None
        assert self.last.context.target is not None
        return self.last.context.target


def made(endpoints: Endpoints) -> Split:
    budgets = Budgets(Budget(0.0), lambda: 0.0)
    return Split(endpoints, Splitter(lambda: 0.0), budgets, lambda: 0.0)


def sent(endpoints: Endpoints, given: InferRequest, split: Split | None = None) -> Target:
    service = Asked()
    split = split or made(endpoints)
    assert asyncio.run(_awaited(split, given, service)) is REPLY
    return service.target


async def _awaited(split: Split, given: InferRequest, service: Service) -> Reply:
    return await split(given, service)


def only(name: str, **spec: Any) -> RouteSnapshot:
    """A route all of whose requests are split to one arm."""
    backends = [
        {**arm, "weight": int(arm["name"] == name)}
        for arm in spec.pop("backends", [STABLE, CANARY])
    ]
    return snapshot(route(backends=backends, **spec).route, "r", None)


BACKUP = [STABLE, {**CANARY, "fallback": "stable"}]
BOTH = Endpoints("fraud/3", "fraud/4")


def test_the_arm_s_model_and_version_are_the_target() -> None:
    backends = [{"name": "stable", "model": "internal", "version": "7"}]
    given = request(route=only("stable", backends=backends))

    assert sent(Endpoints("internal/7"), given) == Target("stable", "internal", "7")
    assert (given.context.timeline.route, given.context.timeline.arm) == ("fraud", "stable")


def test_an_arm_without_a_version_takes_the_newest_that_is_ready() -> None:
    backends = [{"name": "stable", "model": "fraud"}]
    endpoints = Endpoints("fraud/3", "fraud/4", loading="fraud/5")

    assert sent(endpoints, request(route=only("stable", backends=backends))).version == "4"


def test_what_surrounds_a_request_goes_on_with_it() -> None:
    service = Asked()
    given = request(route=only("stable"), headers=[(b"x", b"1")])

    asyncio.run(_awaited(made(BOTH), given, service))

    assert service.last is not None
    context = service.last.context
    assert context.route is given.context.route
    assert context.headers == given.context.headers
    assert context.first_deadline == given.context.first_deadline
    assert (context.principal, context.timeline) == (
        given.context.principal,
        given.context.timeline,
    )


def test_a_model_without_a_route_is_served_by_its_own_name_and_shows_no_arm() -> None:
    given = request(version="3")

    target = sent(BOTH, given)

    assert (target.model, target.version) == ("fraud", "3")
    assert (given.context.timeline.route, given.context.timeline.arm_shown) == ("", False)
    assert sent(BOTH, request()) == Target("default", "fraud", "4")


@pytest.mark.parametrize(
    "endpoints",
    [
        Endpoints("fraud/3"),
        Endpoints("fraud/3", loading="fraud/4"),
        Endpoints("fraud/3", doubtful=("fraud/4",)),
    ],
)
def test_the_fallback_serves_while_the_arm_cannot(endpoints: Endpoints) -> None:
    split = made(endpoints)
    given = request(route=only("canary", backends=BACKUP))

    assert sent(endpoints, given, split) == Target("stable", "fraud", "3")
    assert split.fallbacks == 1
    assert given.context.timeline.arm == "stable"


def test_an_arm_that_can_serve_needs_no_fallback() -> None:
    split = made(BOTH)

    assert sent(BOTH, request(route=only("canary", backends=BACKUP)), split).arm == "canary"
    assert split.fallbacks == 0


def test_without_a_fallback_a_canary_s_failures_stay_its_own() -> None:
    given = request(route=only("canary"))

    with pytest.raises(PenstockError) as caught:
        sent(Endpoints("fraud/3"), given)

    assert caught.value.kind is Kind.UNAVAILABLE
    assert given.context.timeline.arm == "canary"


def test_the_answer_is_in_terms_of_the_route_s_model() -> None:
    backends = [{"name": "stable", "model": "internal", "version": "7"}]

    with pytest.raises(PenstockError) as caught:
        sent(BOTH, request(route=only("stable", backends=backends)))

    assert caught.value.message == 'model "fraud" is not available now'
    assert caught.value.retry_after == 1.0


def test_fallbacks_form_chains_and_circles_end() -> None:
    third = {"name": "third", "model": "fraud", "version": "2", "fallback": "canary"}
    backends = [{**STABLE, "fallback": "third"}, {**CANARY, "fallback": "stable"}, third]
    found = only("canary", backends=backends)

    assert sent(Endpoints("fraud/2"), request(route=found)).arm == "third"
    with pytest.raises(PenstockError):
        sent(Endpoints("other/1"), request(route=found))


def test_an_arm_in_doubt_is_still_tried_when_its_fallback_is_as_well() -> None:
    endpoints = Endpoints(doubtful=("fraud/3", "fraud/4"))

    assert sent(endpoints, request(route=only("canary", backends=BACKUP))).arm == "canary"


def test_who_names_a_version_gets_no_other() -> None:
    found = only("stable", backends=BACKUP)

    with pytest.raises(PenstockError) as caught:
        sent(Endpoints("fraud/3"), request(route=found, version="4"))
    assert caught.value.message == 'model "fraud" version "4" is not available now'

    doubtful = Endpoints("fraud/3", doubtful=("fraud/4",))
    assert sent(doubtful, request(route=found, version="4")).arm == "canary"


def test_a_version_that_is_no_arm_is_found_or_not_as_without_a_route() -> None:
    found = only("stable", pins="any")

    assert sent(Endpoints("fraud/9"), request(route=found, version="9")).arm == "pinned"
    with pytest.raises(PenstockError) as caught:
        sent(BOTH, request(route=found, version="9"))
    assert caught.value.kind is Kind.NOT_FOUND


@pytest.mark.parametrize(
    ("show", "scopes", "shown"),
    [
        ("callers", (), True),
        ("admins", (), False),
        ("admins", ("admin",), True),
    ],
)
def test_the_arm_is_shown_to_whom_the_route_says(
    show: str, scopes: tuple[str, ...], shown: bool
) -> None:
    who = Principal("s", "acme", frozenset(scopes))
    given = request(who, route=only("stable", showArm=show))

    sent(BOTH, given)

    assert given.context.timeline.arm_shown is shown


def test_a_refused_pin_is_nobody_s_failure() -> None:
    given = request(principal(), route=only("stable"), version="9")

    with pytest.raises(PenstockError):
        sent(BOTH, given)

    assert given.context.timeline.arm == ""


@pytest.mark.parametrize(("version", "chosen"), [("", False), ("4", True), ("2", True)])
def test_it_is_noted_that_the_client_chose_the_arm_even_if_the_choice_fails(
    version: str, chosen: bool
) -> None:
    given = request(route=only("stable"), version=version)
    try:
        sent(Endpoints("fraud/3", "fraud/4"), given)
    except PenstockError:
        assert version == "2"
    assert given.context.timeline.pinned is chosen


class Unreachable:
    """A service whose backends of these arms die, or fail otherwise, with the request."""

    def __init__(self, *arms: str, kind: Kind = Kind.UNAVAILABLE, ended: str = "LOST") -> None:
        self._arms = arms
        self._kind = kind
        self._ended = ended
        self.asked: list[tuple[str, bool]] = []

    async def __call__(self, request: InferRequest) -> Reply:
        target, timeline = request.context.target, request.context.timeline
        assert target is not None
        self.asked.append((target.arm, request.context.suspect))
        if target.arm not in self._arms:
            return REPLY
        if self._ended:
            timeline.instances.append(target.arm)
            attempt = Attempt(target.arm, target, len(timeline.instances), 0.0)
            attempt.end(1.0, self._ended)
            timeline.attempts.append(attempt)
        raise PenstockError(self._kind, "nobody is there")


BOTH = Endpoints("fraud/3", "fraud/4")
CIRCLE = [{**STABLE, "fallback": "canary"}, {**CANARY, "fallback": "stable"}]


def served(service: Unreachable, given: InferRequest, split: Split | None = None) -> Split:
    split = split or made(BOTH)
    assert asyncio.run(_awaited(split, given, service)) is REPLY
    return split


def failed(service: Unreachable, given: InferRequest, split: Split | None = None) -> None:
    with pytest.raises(PenstockError):
        asyncio.run(_awaited(split or made(BOTH), given, service))


def test_a_request_whose_arm_dies_under_it_goes_to_the_fallback_as_a_suspect() -> None:
    service, given = Unreachable("canary"), request(route=only("canary", backends=BACKUP))
    split = served(service, given)
    assert service.asked == [("canary", False), ("stable", True)]
    assert given.context.timeline.arm == "stable"
    assert given.context.timeline.fell_back
    assert split.fallbacks == 1


@pytest.mark.parametrize("ended", ["", "UNAVAILABLE"])
def test_a_request_that_nobody_began_or_that_was_refused_is_no_suspect(ended: str) -> None:
    service = Unreachable("canary", ended=ended)
    served(service, request(route=only("canary", backends=BACKUP)))
    assert service.asked == [("canary", False), ("stable", False)]


def test_circles_of_fallbacks_end_when_all_are_gone() -> None:
    service = Unreachable("stable", "canary")
    failed(service, request(route=only("canary", backends=CIRCLE)))
    assert [arm for arm, _ in service.asked] == ["canary", "stable"]


def test_going_on_to_a_fallback_is_one_of_the_attempts() -> None:
    service = Unreachable("canary")
    failed(service, request(route=only("canary", backends=BACKUP, retries={"max": 0})))
    assert [arm for arm, _ in service.asked] == ["canary"]


def test_going_on_to_a_fallback_is_paid_from_the_budget_of_retries() -> None:
    split, route_ = made(BOTH), only("canary", backends=BACKUP)
    service = Unreachable("canary", ended="UNAVAILABLE")
    for _ in range(int(RESERVE)):
        served(service, request(route=route_), split)
    failed(service, request(route=route_), split)


def test_a_sequence_stays_where_its_state_is() -> None:
    service, given = Unreachable("canary"), request(route=only("canary", backends=BACKUP))
    failed(service, replace(given, parameters={"sequence_id": 7}))
    assert [arm for arm, _ in service.asked] == ["canary"]


def test_after_the_deadline_nobody_is_asked() -> None:
    service, given = Unreachable("canary"), request(route=only("canary", backends=BACKUP))
    failed(service, replace(given, context=replace(given.context, deadline=0.0)))
    assert [arm for arm, _ in service.asked] == ["canary"]


@pytest.mark.parametrize("kind", [Kind.MODEL_FAILED, Kind.LOST, Kind.OVERLOADED, Kind.INVALID])
def test_other_failures_are_the_arm_s_own(kind: Kind) -> None:
    service = Unreachable("canary", kind=kind)
    failed(service, request(route=only("canary", backends=BACKUP)))
    assert [arm for arm, _ in service.asked] == ["canary"]
