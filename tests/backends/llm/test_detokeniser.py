"""Text comes as its tokens do, and no character is ever cut."""

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.llm.detokeniser import UNFINISHED, Detokeniser


def by_bytes(tokens: list[int]) -> str:
    """A vocabulary of single bytes; 256 is special and has no text."""
    return bytes(token for token in tokens if token < 256).decode(errors="replace")


def test_a_character_comes_when_its_last_byte_does() -> None:
    words = Detokeniser(by_bytes)
    assert [words.feed([each]) for each in "é🐟".encode()] == ["", "é", "", "", "", "🐟"]
    assert words.end() == ""


def test_what_never_becomes_a_character_is_told_at_the_end() -> None:
    words = Detokeniser(by_bytes)
    assert words.feed([0xF0, 0x9F]) == ""
    assert words.end() == UNFINISHED


def test_what_is_no_character_is_told_once_that_is_certain() -> None:
    words = Detokeniser(by_bytes)
    assert words.feed([0xF0]) == ""
    assert words.feed([ord("a")]) == f"{UNFINISHED}a"


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60))
def test_pieces_are_the_text(text: str) -> None:
    words = Detokeniser(by_bytes)
    pieces = [words.feed([token, 256]) for token in text.encode()]
    assert "".join(pieces) + words.end() == text
    assert UNFINISHED in text or not any(UNFINISHED in piece for piece in pieces)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 255), max_size=80))
def test_bytes_of_any_kind_are_the_same_in_pieces(tokens: list[int]) -> None:
    words = Detokeniser(by_bytes)
    text = "".join([words.feed([token]) for token in tokens]) + words.end()
    assert text == by_bytes(tokens)
