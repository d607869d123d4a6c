"""Pieces of the sentences that clients read when something of theirs is refused."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 64  # characters of a client's own name that a sentence repeats


def quote(text: str) -> str:
    """A client's name for something, in quotes, shortened, without control characters."""
    shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    return f'"{shown}"'


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A half-sentence to append: what was probably meant, or what there is to choose from."""
    choices = list(known)
    close = get_close_matches(word[:LONGEST], choices, 1)
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; known are {', '.join(choices)}" if choices else ""
