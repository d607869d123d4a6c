"""Which requests are mirrored, and what the copy is."""

from itertools import repeat
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.route.mirror import Compare
from protos.route.policies import Timeouts
from protos.timeline import Target
from routing.shadow.sampling import asks_again, chosen, copy_of
from tests.routing.shadow.shadow_scene import request, rule

CANDIDATE = Target("candidate", "m", "2")


@given(st.floats(0, 1, exclude_max=True))
@settings(deadline=None, max_examples=50)
def test_none_of_0_percent_and_all_of_100_whatever_the_die_shows(shown):
    nobody, everybody = rule(percent=0.0), rule("all", percent=100.0)
    assert chosen([nobody, everybody], lambda: shown) == [everybody]


def test_each_mirror_has_a_die_of_its_own():
    dice = iter([0.09, 0.11, 0.09])
    rules = [rule(name, percent=10.0) for name in ("a", "b", "c")]
    assert chosen(rules, lambda: next(dice)) == [rules[0], rules[2]]


@pytest.mark.parametrize(
    ("arm", "die", "asked"),
    [("stable", 0.49, True), ("stable", 0.5, False), ("canary", 0.0, False)],
)
def test_noise_is_that_of_the_arm_named_and_on_a_sample(arm, die, asked):
    compare = Compare.model_validate({"noiseFloor": "stable", "noiseSample": "50%"})
    assert asks_again(compare, arm, lambda: die) is asked


def test_without_a_noise_floor_nobody_is_asked_again():
    assert not asks_again(Compare(), "stable", repeat(0.0).__next__)


def test_a_copy_has_the_time_of_its_route_whatever_the_client_gave_its_primary():
    asked = request(None, budget=0.1, streaming=True)
    written = Timeouts.model_validate({"total": "2s", "firstToken": "500ms"})
    copy = copy_of(asked, CANDIDATE, written, 30.0, 100.0).context
    assert copy.deadline == 102.0
    assert copy.first_deadline == 100.5
    assert copy.timeline.start == 100.0


def test_without_a_time_of_its_route_it_is_everybodys():
    copy = copy_of(request(None, budget=inf), CANDIDATE, Timeouts(), 30.0, 100.0).context
    assert copy.deadline == 130.0
    assert copy.first_deadline == inf


def test_only_streams_have_a_time_for_their_first_part():
    written = Timeouts.model_validate({"firstToken": "500ms"})
    assert copy_of(request(None), CANDIDATE, written, 30.0, 100.0).context.first_deadline == inf


def test_the_clients_own_timeout_is_not_copied_and_its_other_parameters_are():
    asked = request(None, parameters={"timeout": 1000, "temperature": 2})
    assert copy_of(asked, CANDIDATE, Timeouts(), 30.0, 100.0).parameters == {"temperature": 2}
