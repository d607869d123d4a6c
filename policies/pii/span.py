"""What was found in a text, and where."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]`, in code points of the text as it was given, is an `entity`.

    `score` is between 0 and 1: how much the pattern, its check digits and the words before it say.
    """

    start: int
    end: int
    entity: str
    score: float
