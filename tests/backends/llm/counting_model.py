"""An engine whose model counts, without torch's weight or a tokeniser's."""

from collections.abc import Callable
from typing import Any

import torch

from backends.llm.blocks import BlockPool
from backends.llm.choice import Vocabulary
from backends.llm.engine import Ask, Engine, Interrupted
from backends.llm.plan import Work
from backends.llm.sampling import Sampling

SIZE, END, NAN, BREAKS = 129, 127, 1, 2
GREEDY = Sampling(temperature=0.0)


class Counting:
    """After each token comes the next letter; some tokens make it compute nonsense, or fail."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def run(self, plan: list[Work], interrupted: Callable[[], bool] | None = None) -> torch.Tensor:
        if interrupted is not None and interrupted():
            raise Interrupted
        self.steps.append(len(plan))
        rows = []
        for work in plan:
            sequence = work.sequence
            if BREAKS in sequence.tokens[: sequence.prompt]:
                raise RuntimeError("a tenant's secret")
            if not work.completes:
                continue
            tokens = [*sequence.tokens, *sequence.draft]
            for token in tokens[len(sequence.tokens) - 1 :]:
                row = torch.zeros(SIZE)
                row[min(token + 1, SIZE - 1)] = (
                    torch.nan if NAN in sequence.tokens[: sequence.prompt] else 9.0
                )
                rows.append(row)
        return torch.stack(rows) if rows else torch.zeros(0, SIZE)


VOCABULARY = Vocabulary(lambda tokens: "".join(map(chr, tokens)), frozenset({END}), SIZE)


def engine(**settings: Any) -> Engine:
    return Engine(Counting(), VOCABULARY, BlockPool(16, 4), longest=60, **settings)


def ask(text: str = "a", most: int = 5, **fields: Any) -> Ask:
    return Ask([ord(letter) for letter in text], most, GREEDY, **fields)
