"""Edits are counted as the textbook's table counts them, only quicker."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.compare.edits import MOST_WORK, common_prefix, edits, without_common_ends, work

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
    expected = by_the_table(a, b)
    assert edits(a, b) == edits(b, a) == edits(*without_common_ends(a, b)) == expected


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


def test_long_texts_are_little_work_where_what_differs_in_them_is_short():
    text = "all work and no play " * 50_000
    middle = without_common_ends(text, text[:500_000] + "!" + text[500_001:])
    assert edits(*middle) == 1
    assert work(*middle) < MOST_WORK / 1000
    middle = without_common_ends(text, text[:300_000])
    assert edits(*middle) == len(text) - 300_000
    assert work(*middle) == 0


def test_two_texts_of_ten_thousand_characters_are_the_most_work():
    assert work("a" * 10_000, "b" * 10_000) == MOST_WORK
    assert work("a" * 100, "b" * 100_000) == work("b" * 100_000, "a" * 100) < MOST_WORK
