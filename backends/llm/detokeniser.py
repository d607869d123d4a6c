"""Tokens to text as they come, never a part of a character."""

from collections.abc import Callable, Sequence

# What decoders write for bytes that are no character, or not yet one.
UNFINISHED = "\N{REPLACEMENT CHARACTER}"
# UTF-8 has at most so many bytes of a character before its last.
MOST_UNFINISHED = 3
# Decoders need some tokens before the new ones (spaces depend on them), but not all of them.
CONTEXT = 8
WINDOW = 24


class Detokeniser:
    """`decode` gives the text of tokens, special ones left out."""

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._window: list[int] = []
        self._told = 0  # characters of the window's text

    def feed(self, tokens: Sequence[int]) -> str:
        """The text that is certain now."""
        self._window += tokens
        text = self._decode(self._window)
        certain = len(text)
        while certain > 0 and len(text) - certain < MOST_UNFINISHED:
            if text[certain - 1] != UNFINISHED:
                break
            certain -= 1
        new = text[self._told : certain]
        self._told = max(self._told, certain)
        if len(self._window) > WINDOW and certain == len(text):
            self._window = self._window[-CONTEXT:]
            self._told = len(self._decode(self._window))
        return new

    def end(self) -> str:
        """Nothing more comes: the rest, bytes that have become no character included."""
        rest = self._decode(self._window)[self._told :]
        self._told += len(rest)
        return rest
