"""Quantiles from histograms, as PromQL has them."""

from math import inf, isnan

import pytest

from gateway.console.samples import quantile


@pytest.mark.parametrize(
    ("cumulative", "expected"),
    [([10, 10], 0.05), ([0, 10], 0.1)],
)
def test_a_quantile_beyond_the_last_bound_is_that_bound(cumulative, expected: float):
    assert quantile(0.5, [0.1, inf], cumulative) == expected


def test_quantiles_of_nothing_are_not_numbers():
    assert isnan(quantile(0.5, [], []))
    assert isnan(quantile(0.5, [0.1, inf], [0, 0]))
