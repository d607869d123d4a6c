"""The plots of distributions: every pair is in a bar, whatever its scores are."""

import re

import pytest

from gateway.reports.distributions import score_plot
from routing.shadow.figures import scores


def heights(markup: str, side: str) -> list[float]:
    """Where the side's outline goes, downwards in the units of the plot."""
    found = re.search(rf'<path d="([^"]*)" class="curve {side}"', markup)
    assert found is not None
    return [float(y) for _, y in re.findall(r"(-?[\d.]+)[ ,](-?[\d.]+)", found[1])]


@pytest.mark.parametrize(
    "ends", [(0.1, 0.9), (-1.5e308, 1.7e308), (0.0, 5e-324), (1.0, 1.0 + 2.3e-16), (1.0, 1.0)]
)
def test_scores_of_any_size_stand_out_of_the_ground(ends: tuple[float, float]):
    found = scores([(value, value) for value in ends * 50], 0.95)
    assert found is not None
    markup = score_plot("n", found)
    for side in ("primary", "candidate"):
        drawn = heights(markup, side)
        assert len(set(drawn)) == 2
        assert drawn.count(min(drawn)) == 2 * len({f"{end:.6f}" for end in ends})
