"""A step before it is computed: which tokens of whom."""

from dataclasses import dataclass

from backends.llm.cost import Size, size_of
from backends.llm.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens `start` to `start + count` of a sequence and its draft, to be computed now."""

    sequence: Sequence
    start: int
    count: int

    @property
    def size(self) -> Size:
        return size_of(self.start, self.count)

    @property
    def completes(self) -> bool:
        """Whether the next token is known afterwards."""
        return self.count == self.sequence.lacking


@dataclass(frozen=True, slots=True)
class Plan:
    """A step's work, and sequences that were dropped since their deadline is over.

    A `patient` one is of long prompts alone, which anybody who comes may interrupt: its tokens are
    planned again, and nobody is charged for them.
    """

    work: list[Work]
    expired: list[Sequence]
    patient: bool = False


class Planned:
    """What a step has to do so far; `left` tokens more may come to it, of prompts up to `limit`.

    That one is in seconds.
    """

    def __init__(self, budget: int, limit: float) -> None:
        self.left = budget
        self.limit = limit
        self.size = Size()
        self.work: dict[Sequence, Work] = {}

    @property
    def prompts(self) -> bool:
        """Whether a prompt has a part in it."""
        return any(sequence.prefilling for sequence in self.work)

    def take(self, work: Work) -> None:
        self.work[work.sequence] = work
        self.left -= work.count
        self.size += work.size

    def undo(self, sequence: Sequence) -> None:
        """Without the sequence's work, if there is some."""
        work = self.work.pop(sequence, None)
        if work is not None:
            self.left += work.count
            self.size -= work.size
