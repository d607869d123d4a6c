"""One choice of an answer: from its tokens to its text, and when it is finished."""

import random
from collections.abc import Callable, Collection
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Literal

from backends.llm.detokeniser import Detokeniser
from backends.llm.sampling import Likely
from backends.llm.sequence import Sequence
from backends.llm.stops import Stops

Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Said:
    """What a step has brought: text (perhaps none yet) of so many tokens, and the end if it is one.

    `final` with the last of a whole request, `reused` with a choice's first: tokens of the prompt
    that were in the cache. `likely` is empty unless log-probabilities were asked for.
    """

    choice: int
    text: str
    tokens: int
    finish: Finish | None = None
    likely: tuple[Likely, ...] = ()
    final: bool = False
    reused: int = 0


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How tokens become text, and which of them end an answer."""

    decode: Callable[[list[int]], str]
    ends: frozenset[int]
    size: int


class Choice:
    def __init__(
        self,
        index: int,
        sequence: Sequence,
        vocabulary: Vocabulary,
        stops: Many[str],
        ends: Collection[int],
    ) -> None:
        self.index = index
        self.sequence = sequence
        self.finish: Finish | None = None
        seed = sequence.sampling.seed
        # Not for secrets: a seed makes answers repeatable, and without one nobody may foresee them.
        self.rng = random.Random() if seed is None else random.Random(seed + index)  # noqa: S311
        self._text = Detokeniser(vocabulary.decode)
        self._stops = Stops(stops)
        self._ends = ends

    def take(self, found: Many[Likely], length: int) -> Said:
        """The next tokens, the last of which makes the sequence `length` tokens long."""
        text = ""
        taken = 0
        before = length - len(found)
        for each in found:
            taken += 1
            if each.token in self._ends:
                self.finish = "stop"
                break
            text += self._stops.feed(self._text.feed((each.token,)))
            if self._stops.stopped:
                self.finish = "stop"
                break
            if before + taken >= self.sequence.limit:
                self.finish = "length"
                break
        if self.finish is not None:
            text += self._stops.feed(self._text.end())
            if self._stops.stopped:
                self.finish = "stop"
            text += self._stops.end()
        likely = tuple(found[:taken]) if self.sequence.sampling.logprobs >= 0 else ()
        first = before == self.sequence.prompt
        reused = self.sequence.reused if first and not self.index else 0
        return Said(self.index, text, taken, self.finish, likely, reused=reused)
