"""What followed before may follow again."""

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
