"""A tally names what occurs most, and what it can't name it still counts."""

from routing.shadow.tally import OTHER, Tally


def test_a_tally_is_bounded_and_loses_no_count():
    tally = Tally(kept=3)
    for text in ("a", "b", "b", "c", "d", "e"):
        tally.add(text)
    assert tally.most(2) == (("b", 2), ("a", 1), (OTHER, 3))
