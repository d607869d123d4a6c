"""Several outcomes of one pair become one."""

import math

from routing.compare.settled import FARTHEST, bounded, differ, incomparable, together
from routing.shadow.record import Outcome

SAME = Outcome(True, 0.5, {"a": 1.0}, label="cat")
OTHER = Outcome(False, 2.0, {"b": 2.0}, "b differs")
UNKNOWN = Outcome(None, reason="not text")


def test_a_difference_decides_then_what_is_incomparable():
    assert together([SAME, UNKNOWN, OTHER]) == Outcome(
        False, 2.0, {"a": 1.0, "b": 2.0}, "b differs", "cat"
    )
    assert together([SAME, UNKNOWN]) == Outcome(None, 0.5, {"a": 1.0}, "not text", "cat")
    assert together([SAME, SAME]).agrees
    assert together([OTHER]) is OTHER


def test_what_ends_a_comparison_has_its_outcome():
    assert differ("why").outcome == Outcome(False, FARTHEST, reason="why")
    assert incomparable("why").outcome == Outcome(None, reason="why")


def test_distances_are_finite():
    assert bounded(math.inf) == bounded(math.nan) == FARTHEST
    assert bounded(3.0) == 3.0
