"""TorchScript: programs that don't say what they take and give."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from backends.models.config import ModelConfig
from backends.pytorch.program import Tensors
from protos.values import Signature
from protos.wording import quote


class ScriptProgram:
    """What it takes and gives is read from the configuration, in that order."""

    mutates = True  # nothing says that it doesn't

    def __init__(self, path: Path, config: ModelConfig, device: torch.device) -> None:
        if not config.inputs or not config.outputs:
            raise ValueError(
                "TorchScript doesn't say what it takes and gives; list inputs and outputs in "
                "model.yaml"
            )
        for tensor in (*config.inputs, *config.outputs):
            if tensor.datatype == "BYTES":
                raise ValueError(f"{tensor.name} is BYTES, which PyTorch has no tensors of")
        self._module: Any = torch.jit.load(path, map_location=device).eval()  # type: ignore[no-untyped-call]
        self._inputs = [tensor.name for tensor in config.inputs]
        self._outputs = [tensor.name for tensor in config.outputs]
        self._check_arguments()
        self.signature = Signature(
            "pytorch_libtorch",
            tuple(tensor.spec() for tensor in config.inputs),
            tuple(tensor.spec() for tensor in config.outputs),
        )

    def run(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        results = self._module(*(inputs[name] for name in self._inputs))
        if isinstance(results, dict):
            missing = [name for name in self._outputs if name not in results]
            if missing:
                raise ValueError(f"the program gave no {quote(missing[0])}")
            return {name: results[name] for name in self._outputs}
        flat = [results] if isinstance(results, torch.Tensor) else list(results)
        if len(flat) != len(self._outputs):
            raise ValueError(
                f"the program gave {len(flat)} outputs, model.yaml names {len(self._outputs)}"
            )
        return dict(zip(self._outputs, flat, strict=True))

    def compile(self) -> None:
        raise ValueError("compile is for torch.export archives; TorchScript is compiled already")

    def weights(self) -> Sequence[torch.Tensor]:
        return [*self._module.parameters(), *self._module.buffers()]

    def _check_arguments(self) -> None:
        arguments = self._module.forward.schema.arguments[1:]
        needed = sum(not argument.has_default_value() for argument in arguments)
        if not needed <= len(self._inputs) <= len(arguments):
            raise ValueError(
                f"the program takes {needed} to {len(arguments)} inputs, model.yaml lists "
                f"{len(self._inputs)}"
            )
