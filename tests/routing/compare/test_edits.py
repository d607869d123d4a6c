"""Edits are counted as the textbook's table counts them, only quicker."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.compare.edits import LONGEST, common_prefix, edits, without_common_ends

TEXTS = st.text("abc", max_size=40) | st.text(max_size=12)


def by_the_table(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    return row[-1]


@given(TEXTS, TEXTS)
@settings(deadline=None, max_examples=120)
def test_it_is_the_levenshtein_distance(a, b):
    assert edits(a, b) == edits(b, a) == by_the_table(a, b)


@given(st.text("ab", min_size=60, max_size=200), st.text("ab", min_size=60, max_size=200))
@settings(deadline=None, max_examples=20)
def test_it_is_so_for_texts_longer_than_a_machine_word(a, b):
    assert edits(a, b) == by_the_table(a, b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("", "", 0), ("kitten", "sitting", 3), ("", "abc", 3), ("naïve", "naive", 1), ("😀", "😁", 1)],
)
def test_known_distances(a, b, expected):
    assert edits(a, b) == expected


@given(TEXTS, TEXTS, TEXTS, TEXTS)
@settings(deadline=None, max_examples=50)
def test_common_ends_are_taken_off_once(start, a, b, end):
    left, right = without_common_ends(start + a + end, start + b + end)
    assert start + a + end == start + b + end or (left or right)
    assert not left or not right or (left[0] != right[0] and left[-1] != right[-1])
    assert len(left) <= len(a)
    assert len(right) <= len(b)


def test_the_common_prefix_is_found():
    assert common_prefix("abcd", "abxd") == 2
    assert common_prefix("abc", "abcdef") == 3
    assert common_prefix("", "a") == 0


def test_long_texts_are_counted_as_long_as_what_differs_in_them_is_short():
    text = "all work and no play " * 50_000
    assert edits(text, text[:500_000] + "!" + text[500_001:]) == 1
    assert edits(text, text[:300_000]) == len(text) - 300_000


def test_what_would_take_too_long_is_not_counted():
    assert edits("a" + "x" * LONGEST + "b", "b" + "x" * LONGEST + "a") is None
    began = time.perf_counter()
    assert edits("ab" * (LONGEST // 2), "ba" * (LONGEST // 2)) == 2
    assert time.perf_counter() - began < 5
