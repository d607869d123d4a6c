"""CUDA graphs: a whole step of single tokens launched at once.

Launching such a step kernel by kernel takes longer than most models take to compute it. One graph
serves each of a few sizes, and all share their memory, since one runs at a time.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from backends.llm.paged import KeyValues, Piece, Step
from backends.llm.single_tokens import Attention, SingleTokens, size_for

log = logging.getLogger(__name__)

# Logits [wanted, vocabulary], fp32, of a step at those places of its flat row.
Forward = Callable[[Step, torch.Tensor], torch.Tensor]


class Recorder(Protocol):
    def record(self, run: Callable[[], torch.Tensor]) -> "Recorded":
        """Raises RuntimeError for what can't be recorded."""
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """`replay` computes `logits` anew, of what then is in the buffers."""

    replay: Callable[[], None]
    logits: torch.Tensor


class Device:
    """Records on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None

    def record(self, run: Callable[[], torch.Tensor]) -> Recorded:
        """See `Recorder`."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device), torch.cuda.graph(graph, pool=self._pool):
            logits = run()
        self._pool = graph.pool()
        return Recorded(graph.replay, logits)


class DecodeGraphs:
    """A size is computed plainly when it first comes, since that makes lazy allocations and
    compiles kernels, and is recorded when it comes again.
    """

    def __init__(
        self, cache: KeyValues, wide: int, attention: Attention, recorder: Recorder
    ) -> None:
        self._buffers = SingleTokens(cache, wide, attention)
        self._recorder = recorder
        self._seen: set[int] = set()
        self._recorded: dict[int, Recorded] = {}
        self._possible = True

    def run(self, pieces: list[Piece], forward: Forward) -> torch.Tensor | None:
        """Logits [pieces, vocabulary] of a token each, until the next run; None: too many."""
        size = size_for(len(pieces))
        if size is None or not self._possible:
            return None
        self._buffers.fill(pieces, size)
        recorded = self._recorded.get(size)
        if recorded is None and size in self._seen:
            recorded = self._record(size, forward)
        if recorded is None:
            self._seen.add(size)
            return self._forward(size, forward)[: len(pieces)]
        recorded.replay()
        return recorded.logits[: len(pieces)]

    def _forward(self, size: int, forward: Forward) -> torch.Tensor:
        return forward(self._buffers.step(size), self._buffers.places[:size])

    def _record(self, size: int, forward: Forward) -> Recorded | None:
        try:
            found = self._recorder.record(lambda: self._forward(size, forward))
        except RuntimeError as error:
            # Models that look at values on the way can't be recorded, and never will be.
            self._possible = False
            log.info("no CUDA graphs for this model: %s", str(error).splitlines()[0])
            return None
        self._recorded[size] = found
        return found
