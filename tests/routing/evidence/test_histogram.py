"""Latencies in buckets of 5 %: what is known of a quantile, and how histograms add up."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.evidence.histogram import GROWTH, LAST, SMALLEST, Histogram, bucket, upper_bound

seconds = st.floats(min_value=SMALLEST, max_value=3000.0)


def histogram(values):
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@given(seconds)
@settings(deadline=None)
def test_a_latency_lies_in_its_bucket(value):
    index = bucket(value)

    assert value <= upper_bound(index) * (1 + 1e-8)
    assert index == 0 or value > upper_bound(index - 1) * (1 - 1e-8)


@pytest.mark.parametrize("index", [0, 1, 100, LAST - 1])
def test_a_bound_closes_its_own_bucket(index):
    assert bucket(upper_bound(index)) == index


def test_what_is_too_short_or_too_long_falls_into_the_first_and_the_last():
    assert bucket(0.0) == 0
    assert bucket(1e9) == LAST


@given(st.lists(seconds, min_size=1, max_size=50), st.floats(min_value=0.01, max_value=1.0))
@settings(deadline=None, max_examples=50)
def test_a_quantile_is_known_to_five_percent(values, q):
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]

    assert exact <= histogram(values).quantile(q) * (1 + 1e-8)
    assert histogram(values).quantile(q) <= exact * GROWTH * (1 + 1e-8)


@given(st.lists(seconds, max_size=20), st.lists(seconds, max_size=20))
@settings(deadline=None, max_examples=50)
def test_histograms_add_up(first, second):
    both = histogram(first)
    both.merge(histogram(second))

    assert both.counts == histogram(first + second).counts
    assert both.total == len(first) + len(second)


def test_histograms_are_equal_by_what_they_hold():
    assert histogram([0.1, 0.2]) == histogram([0.2, 0.1])
    assert histogram([0.1]) != histogram([0.2])
    assert histogram([0.1]) != {bucket(0.1): 1}


def test_an_empty_one_has_no_quantile():
    assert Histogram().quantile(0.5) == 0.0


def test_those_above_a_bucket_are_counted():
    made = histogram([0.001, 0.01, 0.1])

    assert made.above(bucket(0.01)) == 1
    assert made.above(LAST) == 0
