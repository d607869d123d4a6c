"""One text that was found in a payload, and walks that give out one after the other."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Text:
    """What it is called (a tensor, a key of an object), its row-major index, and the text.

    The text is None for what can't be read: bytes that are not UTF-8, images, token ids. With `key`
    it is a key itself.
    """

    name: str
    index: int
    text: str | None
    key: bool = False


# Gives out texts, and takes for each what is written instead, or None to leave it; the result is
# what all of that made. None in place of a text is a pause of a walk that meets few texts.
Walk = Generator[Text | None, str | None, T]
