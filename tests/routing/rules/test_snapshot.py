import pytest

from protos.route.document import Route
from protos.route.mirror import Mirror
from protos.route.snapshot import RouteSnapshot
from routing.rollout.identity import rollout_id
from routing.rules.effect import Effect
from routing.rules.snapshot import implicit, snapshot
from tests.routing.rules.written_routes import CANARY, STABLE, STEPS, route

THIRD = {"name": "third", "model": "fraud", "version": "2", "weight": 5}


def weights(found: RouteSnapshot) -> dict[str, float]:
    return {arm.name: arm.weight for arm in found.arms}


def test_without_a_rollout_weights_are_as_written() -> None:
    found = snapshot(route().route, "r", None)

    assert (found.name, found.revision, found.rollout, found.implicit) == ("fraud", "r", "", False)
    assert weights(found) == {"stable": 95, "canary": 5}


def effect(document: Route, weight: float, mirror: Mirror | None = None) -> Effect:
    """What the document's own rollout has made of it."""
    return Effect("fraud", rollout_id(document), "canary", weight, mirror)


def test_a_rollout_of_which_nothing_was_heard_gives_its_candidate_nothing() -> None:
    found = snapshot(route(rollout=STEPS).route, "r", None)

    assert weights(found) == {"stable": 100, "canary": 0}


def test_the_others_share_what_the_candidate_leaves_as_they_are_written() -> None:
    document = route(
        backends=[STABLE, CANARY, THIRD], rollout={**STEPS, "candidate": "canary"}
    ).route

    found = snapshot(document, "r", effect(document, 20.0))

    assert found.rollout == rollout_id(document)
    assert weights(found) == pytest.approx({"stable": 76.0, "canary": 20.0, "third": 4.0})


def test_all_for_the_candidate_leaves_the_others_nothing() -> None:
    document = route(rollout=STEPS).route

    found = snapshot(document, "r", effect(document, 100.0))

    assert weights(found) == {"stable": 0, "canary": 100}


def test_the_baseline_serves_where_all_weight_was_written_for_the_candidate() -> None:
    backends = [{**STABLE, "weight": 0}, {**CANARY, "weight": 100}]

    found = snapshot(route(backends=backends, rollout=STEPS).route, "r", None)

    assert weights(found) == {"stable": 100, "canary": 0}


def test_an_effect_of_another_rollout_or_on_no_rollout_is_no_effect() -> None:
    former = route(backends=[STABLE, {**CANARY, "version": "9"}], rollout=STEPS).route
    stray = effect(former, 50.0)

    assert weights(snapshot(route(rollout=STEPS).route, "r", stray)) == {"stable": 100, "canary": 0}
    assert weights(snapshot(route().route, "r", stray)) == {"stable": 95, "canary": 5}


def test_an_effect_s_mirror_takes_the_place_of_the_one_to_the_same_version() -> None:
    written = [
        {"backend": "a", "model": "fraud", "version": "4", "percent": 10},
        {"backend": "b", "model": "fraud", "version": "5", "percent": 10},
    ]
    asked = Mirror(backend="a", model="fraud", version="4", percent=40)
    document = route(rollout=STEPS, mirror=written).route

    found = snapshot(document, "r", effect(document, 0.0, asked))

    assert {(m.backend, m.percent) for m in found.mirrors} == {("a", 40.0), ("b", 10.0)}
    assert snapshot(document, "r", None).mirrors == document.spec.mirror


def test_a_model_without_a_route_is_its_own() -> None:
    found = implicit("fraud", "r")

    (arm,) = found.arms
    assert (arm.name, arm.model, arm.version) == ("default", "fraud", "")
    assert (found.name, found.implicit, found.spec.pins) == ("", True, "any")
    assert found.spec.timeouts.total is None
