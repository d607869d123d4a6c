"""Runs the model over a step's flat row of tokens."""

import torch
from transformers import PreTrainedModel

from backends.llm.adapters import Adapters
from backends.llm.paged import KeyValues, Piece, lay_out
from backends.llm.scheduler import Work


class ModelRunner:
    """A causal language model of transformers, loaded with `paged.NAME` as its attention."""

    def __init__(self, model: PreTrainedModel, cache: KeyValues, adapters: Adapters) -> None:
        self._model = model
        self._cache = cache
        self._adapters = adapters

    @torch.inference_mode()
    def run(self, plan: list[Work]) -> torch.Tensor:
        """See `backends.llm.engine.Runner`."""
        step = lay_out(self._cache, [_piece(work) for work in plan])
        begins = [0, *step.ends]
        self._adapters.use(
            [
                (work.sequence.adapter, begin, end)
                for work, begin, end in zip(plan, begins, step.ends, strict=False)
            ]
        )
        wanted: list[int] = []
        for work, end in zip(plan, step.ends, strict=True):
            if work.completes:
                wanted += range(end - 1 - len(work.sequence.draft), end)
        out = self._model(
            input_ids=step.tokens,
            position_ids=step.positions,
            use_cache=False,
            logits_to_keep=torch.tensor(wanted, dtype=torch.long),
            step=step,
        )
        logits: torch.Tensor = out.logits[0].float()
        return logits


def _piece(work: Work) -> Piece:
    sequence = work.sequence
    known = sequence.tokens[work.start : work.start + work.count]
    return Piece(known + sequence.draft[: work.count - len(known)], work.start, sequence.blocks)
