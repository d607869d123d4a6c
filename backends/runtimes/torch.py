"""PyTorch programs: torch.export archives (.pt2) and TorchScript (.pt), on the CPU or CUDA."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backends.models.config import ModelConfig
from backends.pytorch.archive import check_archive, check_script
from backends.pytorch.cuda_graphs import CudaGraphs
from backends.pytorch.export import ExportProgram
from backends.pytorch.program import DTYPES, Program, let_go, storage_bytes
from backends.pytorch.script import ScriptProgram
from backends.runtime import Arrays
from protos.datatypes import Array
from protos.errors import Kind, PenstockError
from protos.values import Parameters, Signature

EXTENSIONS = (".pt2", ".pt")
RUNS_CODE = False

# Requests' arrays are read-only views of their bytes; programs that write to inputs get copies.
warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)

_PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16}


def create(artifact: Path, config: ModelConfig, device: str, threads: int) -> "TorchRuntime":
    """`device` is cpu or cuda:N; `threads` the cores that one execution may use."""
    return TorchRuntime(artifact, config, torch.device(device), config.threads or threads)


class TorchRuntime:
    """One program. BF16 travels as its bits; there are no BYTES."""

    def __init__(
        self, artifact: Path, config: ModelConfig, device: torch.device, threads: int
    ) -> None:
        self._artifact = artifact
        self._config = config
        self._device = device
        self._threads = threads
        self._program: Program | None = None
        self._graphs: CudaGraphs | None = None
        self._copies: torch.cuda.Stream | None = None
        self._datatypes: Mapping[str, str] = {}
        self._dtypes: Mapping[str, torch.dtype] = {}
        self._memory = 0

    def load(self) -> Signature:
        torch.set_num_threads(self._threads)
        before = self._allocated()
        if self._artifact.suffix == ".pt2":
            check_archive(self._artifact)
            program: Program = ExportProgram(self._artifact, self._config, self._device)
        else:
            check_script(self._artifact)
            program = ScriptProgram(self._artifact, self._config, self._device)
        if self._config.compile:
            program.compile()
        signature = program.signature
        self._datatypes = {spec.name: spec.datatype for spec in signature.inputs}
        self._dtypes = {spec.name: DTYPES[spec.datatype] for spec in signature.outputs}
        self._program = program
        self._memory = storage_bytes(program.weights())
        if self._device.type == "cuda":
            self._memory = max(self._memory, self._allocated() - before)
            self._copies = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            self._graphs = CudaGraphs(self._device, self._run)
        return signature

    def stage(self, inputs: Arrays) -> dict[str, torch.Tensor]:
        mutable = self._program is None or self._program.mutates
        tensors = {
            name: _tensor(array, self._datatypes[name], mutable) for name, array in inputs.items()
        }
        if self._copies is None:
            return tensors
        # Pinned memory and a stream of its own let the copy run beside the executing batch.
        with torch.cuda.stream(self._copies):
            tensors = {
                name: tensor.pin_memory().to(self._device, non_blocking=True)
                for name, tensor in tensors.items()
            }
        self._copies.synchronize()
        return tensors

    def execute(self, staged: dict[str, torch.Tensor]) -> Arrays:
        # The number is per thread in some builds and global in others, and models differ.
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        run = self._graphs.run if self._graphs is not None else self._run
        return {name: _array(tensor, self._dtypes[name]) for name, tensor in run(staged).items()}

    def stream(self, inputs: Arrays, parameters: Parameters) -> Iterator[Arrays]:
        raise PenstockError(Kind.UNIMPLEMENTED, "a PyTorch program answers in one part")

    def memory_bytes(self) -> int:
        """Weights, and what else the allocator holds for the program on CUDA."""
        return self._memory

    def unload(self) -> None:
        if self._program is not None:
            let_go(self._program.weights())
        self._program = None
        self._graphs = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _run(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if self._program is None:
            raise RuntimeError("the program is not loaded")
        with torch.inference_mode(), self._precision():
            return self._program.run(inputs)

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        dtype = _PRECISIONS.get(self._config.precision)
        if dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, dtype=dtype)

    def _allocated(self) -> int:
        return torch.cuda.memory_allocated(self._device) if self._device.type == "cuda" else 0


def _tensor(array: Array, datatype: str, mutable: bool) -> torch.Tensor:
    array = np.ascontiguousarray(array)
    if mutable and not array.flags.writeable:
        array = array.copy()
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if datatype == "BF16" else tensor


def _array(tensor: torch.Tensor, dtype: torch.dtype) -> Array:
    """The tensor on the host; autocast's narrow results become what the signature says."""
    if tensor.dtype is not dtype:
        tensor = tensor.to(dtype)
    if dtype is torch.bfloat16:
        tensor = tensor.view(torch.uint16)
    array: Array = tensor.numpy(force=True)
    return array
