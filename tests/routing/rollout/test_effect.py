"""What a rollout makes of its route."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from routing.rollout.begin import begin
from routing.rollout.effect import effect
from tests.routing.rollout.made_routes import CANARY, DISAGREEMENT, ERRORS, MIRROR, route


def test_the_candidate_has_the_states_weight():
    document = route()
    made = effect(replace(begin(document, 0.0), weight=5.0, mirror_percent=0.0), document)
    assert (made.route, made.candidate, made.weight, made.mirror) == ("fraud", "canary", 5.0, None)
    assert made.rollout == begin(document, 0.0).id


def test_a_mirror_step_mirrors_the_candidate_under_its_name():
    document = route()
    mirror = effect(begin(document, 0.0), document).mirror
    assert mirror is not None
    assert (mirror.backend, mirror.model, mirror.version) == ("canary", "fraud", "4")
    assert mirror.percent == 20.0


def test_noise_is_measured_on_the_baseline_where_a_bound_is_above_it():
    for metrics, floor in (((DISAGREEMENT,), "stable"), ((ERRORS,), None)):
        document = route(metrics=metrics)
        mirror = effect(begin(document, 0.0), document).mirror
        assert mirror is not None
        assert mirror.compare.noise_floor == floor


def test_a_step_may_say_how_to_compare():
    step = {"mirror": {**MIRROR["mirror"], "compare": {"kind": "label", "topK": 3}}}
    document = route(step, CANARY, metrics=(DISAGREEMENT,))
    mirror = effect(begin(document, 0.0), document).mirror
    assert mirror is not None
    assert (mirror.compare.kind, mirror.compare.top_k) == ("label", 3)


def test_a_mirror_that_outlives_its_step_stays_as_the_step_said():
    step = {"mirror": {**MIRROR["mirror"], "compare": {"kind": "label"}}}
    document = route(step, CANARY, metrics=(DISAGREEMENT,))
    mirror = effect(replace(begin(document, 0.0), step=1), document).mirror
    assert mirror is not None
    assert mirror.compare.kind == "label"


@pytest.mark.parametrize(("written", "percent"), [(5, 20.0), (70, 70.0)])
def test_the_routes_own_mirror_of_the_candidate_is_used_and_never_lessened(written, percent):
    own = {
        "backend": "shadow",
        "model": "fraud",
        "version": "4",
        "percent": written,
        "compare": {"kind": "label"},
    }
    document = route(mirror=(own,))
    mirror = effect(begin(document, 0.0), document).mirror
    assert mirror is not None
    assert (mirror.backend, mirror.percent, mirror.compare.kind) == ("shadow", percent, "label")


def test_a_mirror_of_something_else_keeps_its_name_to_itself():
    other = {"backend": "canary", "model": "fraud", "version": "9", "percent": 5}
    document = route(mirror=(other,))
    mirror = effect(begin(document, 0.0), document).mirror
    assert mirror is not None
    assert mirror.backend == "canary-rollout"


def test_a_step_that_measures_noise_on_no_arm_of_the_route_is_refused():
    step = {"mirror": {**MIRROR["mirror"], "compare": {"noiseFloor": "stabel"}}}
    with pytest.raises(ValidationError, match="noiseFloor of a mirror step, stabel, is no backend"):
        route(step, CANARY)
