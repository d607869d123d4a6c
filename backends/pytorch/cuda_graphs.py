"""CUDA graphs: a whole program launched at once, for the shapes that come again.

Launching a small network kernel by kernel takes longer than running it. A graph is captured when a
shape is seen for the second time, since the first run makes the program's lazy allocations.
"""

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import torch

log = logging.getLogger(__name__)

# Each graph keeps its inputs and outputs; the scheduler's sizes and pad lengths are fewer.
MAX_GRAPHS = 64

Tensors = Mapping[str, torch.Tensor]
Run = Callable[[Tensors], dict[str, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    inputs: dict[str, torch.Tensor]
    outputs: dict[str, torch.Tensor]


class CudaGraphs:
    """Runs a program through graphs where they can be captured, and plainly where not."""

    def __init__(self, device: torch.device, run: Run) -> None:
        self._device = device
        self._run = run
        self._seen: set[Hashable] = set()
        self._captured: dict[Hashable, _Captured] = {}
        self._possible = True

    def run(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """The program's outputs on the device, valid until the next run with these shapes."""
        key = tuple((name, tensor.shape, tensor.dtype) for name, tensor in inputs.items())
        captured = self._captured.get(key)
        if captured is None:
            if key not in self._seen or not self._possible or len(self._captured) >= MAX_GRAPHS:
                if len(self._seen) < MAX_GRAPHS:
                    self._seen.add(key)
                return self._run(inputs)
            captured = self._capture(inputs)
            if captured is None:
                return self._run(inputs)
            self._captured[key] = captured
        for name, tensor in inputs.items():
            captured.inputs[name].copy_(tensor)
        captured.graph.replay()
        return captured.outputs

    def _capture(self, inputs: Tensors) -> _Captured | None:
        static = {name: tensor.clone() for name, tensor in inputs.items()}
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.device(self._device), torch.cuda.graph(graph):
                outputs = self._run(static)
        except RuntimeError as error:
            # Programs that look at values on the way can't be captured, and never will be.
            self._possible = False
            log.info("no CUDA graphs for this program: %s", str(error).splitlines()[0])
            return None
        return _Captured(graph, static, outputs)
