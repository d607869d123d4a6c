"""Which edits of a route begin another rollout."""

import pytest

from protos.errors import PenstockError
from protos.route.document import Route
from routing.rollout.identity import rollout_id
from tests.routing.rollout.made_routes import (
    ANALYSIS,
    CANARY,
    DISAGREEMENT,
    ERRORS,
    LATENCY,
    MIRROR,
    PAUSE,
    route,
)


def test_the_same_document_asks_for_the_same_rollout():
    assert rollout_id(route()) == rollout_id(route())


@pytest.mark.parametrize(
    "other",
    [
        route(name="fraud-eu"),
        route(version="5"),
        route(CANARY, ANALYSIS),
        route(metrics=(LATENCY,)),
        route(confidence=0.99),
        route(onFail="hold"),
    ],
    ids=["name", "candidate", "steps", "metrics", "confidence", "on fail"],
)
def test_another_target_step_or_analysis_is_another_rollout(other: Route):
    assert rollout_id(other) != rollout_id(route())


@pytest.mark.parametrize(
    ("document", "id_"),
    [
        (route(), "cbb6e8739c4b0c45"),
        (route(CANARY, PAUSE, metrics=(ERRORS, LATENCY, DISAGREEMENT)), "7682a74113395b0b"),
        (
            route(MIRROR, ANALYSIS, confidence=0.99, onFail="hold", onInconclusive="proceed"),
            "36f35f3bfaa9289c",
        ),
    ],
)
def test_a_rollout_under_way_outlives_an_upgrade_of_the_gateway(document: Route, id_: str):
    assert rollout_id(document) == id_


def test_what_is_written_as_it_would_be_anyway_changes_nothing():
    written = route(confidence=0.95, minSamples=500, onFail="rollback", onInconclusive="hold")
    assert rollout_id(written) == rollout_id(route())


def test_what_the_rollout_is_not_about_may_change_under_way():
    assert rollout_id(route(weight=40)) == rollout_id(route())


def test_a_route_without_a_rollout_has_no_identity():
    spec = route().spec.model_copy(update={"rollout": None})
    with pytest.raises(PenstockError, match="route fraud has no rollout"):
        rollout_id(route().model_copy(update={"spec": spec}))
