"""Axes: values stay on them, labels are round and few."""

from math import inf, isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.reports.scale import Scale, around, ticks, time_ticks


def test_a_value_lies_where_it_should():
    assert Scale(0, 10).at(2.5) == 0.25
    assert Scale(0.001, 10, log=True).at(0.1) == pytest.approx(0.5)


def test_what_lies_outside_is_at_the_nearer_end():
    assert [Scale(0, 1).at(value) for value in (-5, 7, inf, -inf)] == [0, 1, 1, 0]


def test_the_ends_are_round_and_hold_the_values():
    scale = around([0.013, 0.187])
    assert (scale.low, scale.high) == (0.0, pytest.approx(0.2))


def test_one_value_alone_has_a_scale():
    scale = around([0.0])
    assert scale.low <= 0.0 <= scale.high


def test_a_logarithmic_axis_has_round_labels():
    assert list(ticks(Scale(0.002, 0.06, log=True), 4)) == pytest.approx(
        [0.002, 0.005, 0.01, 0.02, 0.05]
    )


def test_a_day_has_its_hours_and_midnight_has_its_date():
    labels = [text for _, text in time_ticks(Scale(1_790_000_000 - 86_400, 1_790_000_000))]
    assert labels == ["18:00", "21 Sep", "06:00", "12:00"]


@pytest.mark.parametrize("span", [600, 3600, 7200, 86_400, 7 * 86_400, 90 * 86_400])
def test_a_time_axis_has_neither_none_nor_too_many_labels(span: float):
    assert 1 <= len(list(time_ticks(Scale(1_790_000_000 - span, 1_790_000_000)))) <= 6


HARD = [
    [-1.5e308, 1.5e308],  # their difference is infinite
    [1.7e308],
    [1.6e308, 1.7e308],
    [0.0, 5e-324],  # no step between them
    [5e-324],
    [3e-308, 4e-308],
    [1.0, 1.0 + 2.3e-16],
    [1e16, 1e16 + 2],
]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(), min_size=1, max_size=5) | st.sampled_from(HARD))
def test_any_values_have_a_scale_with_labels_in_order(values: list[float]):
    scale = around(values)
    labels = list(ticks(scale))
    assert all(map(isfinite, [scale.low, scale.high, scale.high - scale.low, *labels]))
    assert scale.low < scale.high
    assert 2 <= len(labels) <= 12
    assert labels == sorted(set(labels))
    assert all(0 <= scale.at(value) <= 1 for value in values)


@pytest.mark.parametrize("values", HARD[3:])
def test_values_that_are_hardly_apart_are_on_a_scale_that_is_wider(values: list[float]):
    scale = around(values)
    assert scale.low < min(values) <= max(values) < scale.high


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_every_value_is_on_its_scale_and_labels_are_few(values: list[float]):
    scale = around(values)
    margin = 1e-6 * (scale.high - scale.low)
    assert scale.low - margin <= min(values) <= max(values) <= scale.high + margin
    assert len(list(ticks(scale))) <= 12
    assert all(0 <= scale.at(value) <= 1 for value in values)
