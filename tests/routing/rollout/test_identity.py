"""Which edits of a route begin another rollout."""

import pytest

from protos.errors import PenstockError
from protos.route.document import Route
from routing.rollout.identity import rollout_id
from tests.routing.rollout.made_routes import ANALYSIS, CANARY, LATENCY, route


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


def test_what_the_rollout_is_not_about_may_change_under_way():
    assert rollout_id(route(weight=40)) == rollout_id(route())


def test_a_route_without_a_rollout_has_no_identity():
    spec = route().spec.model_copy(update={"rollout": None})
    with pytest.raises(PenstockError, match="route fraud has no rollout"):
        rollout_id(route().model_copy(update={"spec": spec}))
