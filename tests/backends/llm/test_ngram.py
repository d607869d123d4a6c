"""What followed before may follow again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.llm.ngram import guess


def test_what_followed_the_same_tokens_is_guessed() -> None:
    assert guess([1, 2, 3, 4, 5, 6, 2, 3], 3) == [4, 5, 6]


def test_the_newest_of_several_places_counts() -> None:
    assert guess([1, 2, 3, 1, 2, 4, 1, 2], 1) == [4]


def test_the_longer_match_counts_more() -> None:
    assert guess([9, 1, 2, 5, 8, 1, 2, 6, 9, 1, 2], 1) == [5]


def test_nothing_is_guessed_from_nothing() -> None:
    assert guess([1, 2, 3, 4], 4) == []
    assert guess([1], 4) == []
    assert guess([1, 2, 1, 2], 0) == []


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([0, 1, 256, 1 << 16]), max_size=20), st.integers(1, 4))
def test_it_is_what_a_plain_search_finds(tokens: list[int], most: int) -> None:
    assert guess(tokens, most) == searched(tokens, most)


def searched(tokens: list[int], most: int) -> list[int]:
    for length in (3, 2):
        for at in range(len(tokens) - length - 1, -1, -1):
            if tokens[at : at + length] == tokens[-length:]:
                return tokens[at + length : at + length + most]
    return []
