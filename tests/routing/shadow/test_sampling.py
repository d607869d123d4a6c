"""Which requests are mirrored, and what the copy is."""

from dataclasses import replace
from itertools import repeat
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.route.mirror import Compare
from protos.values import Target
from routing.shadow.sampling import LONGEST, asks_again, chosen, copy_of
from tests.routing.shadow.shadow_scene import request, rule


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


def timed(deadline, first_deadline=inf):
    asked = request(None)
    context = replace(
        asked.context,
        deadline=asked.context.timeline.start + deadline,
        first_deadline=asked.context.timeline.start + first_deadline,
    )
    return replace(asked, context=context)


def test_a_copy_has_the_whole_time_that_its_primary_had_at_its_start():
    asked = timed(2.0, 0.5)
    now = asked.context.timeline.start + 1.5
    copy = copy_of(asked, Target("candidate", "m", "2"), now).context
    assert copy.deadline == pytest.approx(now + 2.0)
    assert copy.first_deadline == pytest.approx(now + 0.5)
    assert copy.timeline.start == now


def test_a_copy_ends_even_where_its_primary_may_take_for_ever():
    copy = copy_of(timed(inf), Target("candidate", "m", "2"), 1e6).context
    assert copy.deadline == 1e6 + LONGEST
    assert copy.first_deadline == inf
