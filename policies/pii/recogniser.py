"""What a kind of identifier looks like, and how it is told from what merely resembles it."""

from collections.abc import Callable
from dataclasses import dataclass

WORD = rb"0-9A-Za-z_\x82"


def left(joiners: bytes) -> bytes:
    """What may stand before an identifier: no letter, no digit, no joiner behind a digit.

    A dot or a hyphen that joins two numbers makes them one (`0.1234`, `12-3456`), one that belongs
    to the sentence doesn't. A line break may be written as `\\n` where the text is itself JSON.
    """
    return rb"(?:\\[nrt]|^|[^" + WORD + joiners + rb"]|(?:^|[^0-9])[" + joiners + rb"])"


def right(joiners: bytes) -> bytes:
    """What may stand behind an identifier, by the same rule."""
    return rb"(?:$|[^" + WORD + joiners + rb"]|[" + joiners + rb"](?:$|[^0-9]))"


LEFT = left(rb".\-")
RIGHT = right(rb".\-")
# For groups of digits that must not be part of a row of groups, such as a table.
APART_LEFT = left(rb" .\-")
APART_RIGHT = right(rb" .\-")


# For numbers that a line break divides.
LINE = rb"\r?\n"
LINES_LEFT = left(rb" .\-\r\n")
LINES_RIGHT = right(rb" .\-\r\n")


def anything(_: str) -> bool:
    """For patterns that say enough by themselves."""
    return True


def compact(text: str) -> str:
    """The usual canonical form: letters and digits, in capitals."""
    return "".join(filter(str.isalnum, text)).upper()


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One pattern of one entity; patterns are RE2 over folded bytes, without capturing groups.

    `check` judges what the pattern found, after `trim` has said how many of its characters count.
    `score` is what a finding is worth without, `confirmed` with one of the `context` words (RE2
    alternatives in small letters) before it or, within the same clause, behind it, and `alone` if
    the text's first line is nothing else, as answers to questions are. A match never has more
    than `longest` characters. Where text can be cut (`cuts.py`) it ends, unless it `crosses`;
    streams then have to wait for `longest` characters, or, where there is an `opening`, only behind
    that. `left` looks back at most `reach` characters. What is not `confusable` is itself whatever
    token or label it stands in. A `linear` one is read by nothing but RE2, since a matcher that
    backtracks might take long over it.
    """

    entity: str
    pattern: bytes
    score: float
    confirmed: float = 0.95
    alone: float = 0.0
    context: bytes = b""
    check: Callable[[str], bool] = anything
    trim: Callable[[str], int] = len
    canonical: Callable[[str], str] = compact
    left: bytes = LEFT
    right: bytes = RIGHT
    longest: int = 64
    reach: int = 2
    confusable: bool = True
    crosses: bool = False
    opening: bytes = b""
    linear: bool = False

    def __repr__(self) -> str:
        return f"<Recogniser {self.entity} {self.score:g}>"

    @property
    def whole(self) -> bytes:
        """The pattern between what may stand beside it; its one group is the identifier."""
        return self.left + rb"(" + self.pattern + rb")" + self.right
