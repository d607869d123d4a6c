from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from routing.rules.glob import glob

# All words of up to five letters; patterns of up to two literals on each side of the star meet in
# one of these or nowhere.
WORDS = ["".join(letters) for size in range(6) for letters in product("ab", repeat=size)]

patterns = st.builds(
    lambda head, star, tail: head + star + tail,
    st.text("ab", max_size=2),
    st.sampled_from(["", "*"]),
    st.text("ab", max_size=2),
)


def test_a_star_stands_for_any_run_of_letters() -> None:
    pattern = glob("fraud-*-eu")

    assert pattern.matches("fraud-7-eu")
    assert pattern.matches("fraud--eu")
    assert not pattern.matches("fraud-eu")
    assert not pattern.matches("my-fraud-7-eu")


def test_a_pattern_without_a_star_is_a_name() -> None:
    assert glob("fraud").matches("fraud")
    assert not glob("fraud").matches("fraud2")


def test_a_pattern_is_shown_as_it_is_written() -> None:
    assert [str(glob(each)) for each in ("*", "a*", "*a", "a")] == ["*", "a*", "*a", "a"]


@settings(deadline=None, max_examples=300)
@given(patterns, patterns)
def test_two_patterns_meet_where_some_word_matches_both(one: str, other: str) -> None:
    both = any(glob(one).matches(word) and glob(other).matches(word) for word in WORDS)

    assert glob(one).meets(glob(other)) == both
