"""Names of what a model has kept, the last used first; and what a byte of a prompt costs."""

import pytest

from backends.language.kept import Pace, Recent


def test_the_last_used_names_are_kept_and_beginnings_longest():
    recent = Recent(4)
    recent.touch("t", [(1, "a"), (2, "ab"), (3, "abc")])
    recent.touch("t", [(1, "a"), (4, "ax"), (5, "axy")])
    assert [name for name, _ in recent.newest()] == [1, 4, 5, 2]
    assert (recent.get(1), recent.get(3), len(recent)) == ("a", None, 4)


def test_whoever_has_the_most_names_makes_room():
    recent = Recent(8)
    recent.touch("b", [(1, "b"), (2, "bb")])
    for at in range(100, 200, 3):
        recent.touch("a", [(at + n, "a") for n in range(3)])
        assert len(recent) <= 8
    assert (recent.get(1), recent.get(2)) == ("b", "bb")
    assert recent.get(199) == "a"
    for tenant in range(300, 400):
        recent.touch(str(tenant), [(tenant, "c")])
    assert len(recent) == 8


def test_a_name_has_the_value_that_it_was_last_given():
    recent = Recent()
    recent.touch("t", [(1, b"block")])
    recent.touch("t", [(1, b"another")])
    assert recent.newest() == [(1, b"another")]
    recent.clear()
    assert recent.newest() == []


def test_what_a_byte_takes_is_learned_from_prompts_that_were_mostly_new():
    pace = Pace()
    assert pace.byte_seconds == 0.0
    pace.add(1000, 0, 1.0)
    pace.add(1000, 501, 0.001)
    pace.add(0, 0, 5.0)
    assert pace.byte_seconds == pytest.approx(0.001)


def test_the_newest_calls_weigh_most():
    pace = Pace()
    for seconds in (1.0, 2.0):
        for _ in range(200):
            pace.add(1000, 0, seconds)
    assert pace.byte_seconds == pytest.approx(0.002, rel=0.05)
