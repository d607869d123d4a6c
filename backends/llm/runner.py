"""Runs the model over a step's flat row of tokens."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from backends.llm.adapters import Adapters
from backends.llm.cuda_graphs import DecodeGraphs
from backends.llm.paged import KeyValues, Piece, Step, lay_out
from backends.llm.plan import Work


@dataclass(frozen=True, slots=True)
class Demand:
    """A piece to be computed with an adapter ("": none), and the logits of its last tokens."""

    piece: Piece
    adapter: str
    logits: int  # of how many tokens they are wanted


class ModelRunner:
    """A causal language model of transformers, loaded with `paged.NAME` as its attention."""

    def __init__(
        self,
        model: PreTrainedModel,
        cache: KeyValues,
        adapters: Adapters,
        graphs: DecodeGraphs | None = None,
    ) -> None:
        self._graphs = graphs
        self._model = model
        self._cache = cache
        self._adapters = adapters

    def run(self, plan: list[Work], interrupted: Callable[[], bool] | None = None) -> torch.Tensor:
        """See `backends.llm.engine.Runner`."""
        demands = demands_of(plan)
        self.use(demands)
        return self.compute(demands, interrupted)

    def use(self, demands: list[Demand]) -> None:
        """Has the adapters ready that the demands need."""
        rows, begin = [], 0
        for each in demands:
            end = begin + len(each.piece.tokens)
            rows.append((each.adapter, begin, end))
            begin = end
        self._adapters.use(rows)

    @torch.inference_mode()
    def compute(
        self, demands: list[Demand], interrupted: Callable[[], bool] | None = None
    ) -> torch.Tensor:
        """Logits [wanted, vocabulary], fp32, with the adapters of the `use` before."""
        if self._graphs is not None and all(map(_is_plain, demands)):
            found = self._graphs.run([each.piece for each in demands], self._forward)
            if found is not None:
                return found
        step = lay_out(self._cache, [each.piece for each in demands], interrupted)
        wanted: list[int] = []
        for each, end in zip(demands, step.ends, strict=True):
            wanted += range(end - each.logits, end)
        return self._forward(
            step, torch.tensor(wanted, dtype=torch.long, device=step.tokens.device)
        )

    def _forward(self, step: Step, wanted: torch.Tensor) -> torch.Tensor:
        """Logits [wanted, vocabulary], fp32, at those places of the flat row."""
        out = self._model(
            input_ids=step.tokens,
            position_ids=step.positions,
            use_cache=False,
            logits_to_keep=wanted,
            step=step,
        )
        logits: torch.Tensor = out.logits[0].float()
        return logits


def _is_plain(demand: Demand) -> bool:
    """A single token, as graphs have them."""
    return len(demand.piece.tokens) == demand.logits == 1 and not demand.adapter


def demands_of(plan: list[Work]) -> list[Demand]:
    return [_demand(work) for work in plan]


def _demand(work: Work) -> Demand:
    sequence = work.sequence
    known = sequence.tokens[work.start : work.start + work.count]
    tokens = known + sequence.draft[: work.count - len(known)]
    logits = 1 + len(sequence.draft) if work.completes else 0
    return Demand(Piece(tokens, work.start, sequence.blocks), sequence.adapter, logits)
