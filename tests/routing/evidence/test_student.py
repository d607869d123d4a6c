"""Student's distribution, by its table."""

import pytest
from scipy import stats

from routing.evidence.student import t_score


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 30, 31, 200, 999])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_it_is_that_of_the_textbook(level, freedom):
    assert t_score(level, freedom) == pytest.approx(stats.t.ppf(0.5 + level / 2, freedom), rel=1e-6)


def test_with_much_to_go_by_it_is_the_normal_distribution():
    assert t_score(0.95, 10_000) == pytest.approx(1.959964)
    assert t_score(0.95, 1000) == pytest.approx(stats.t.ppf(0.975, 1000), rel=2e-3)


def test_it_takes_a_degree_of_freedom():
    with pytest.raises(ValueError, match="freedom must be at least 1: 0"):
        t_score(0.95, 0)
