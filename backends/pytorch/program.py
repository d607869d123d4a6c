"""PyTorch programs, of whatever origin, called by their tensors' names."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from protos.values import Signature

DTYPES = {
    "BOOL": torch.bool,
    "UINT8": torch.uint8,
    "UINT16": torch.uint16,
    "UINT32": torch.uint32,
    "UINT64": torch.uint64,
    "INT8": torch.int8,
    "INT16": torch.int16,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "FP16": torch.float16,
    "FP32": torch.float32,
    "FP64": torch.float64,
    "BF16": torch.bfloat16,
}

Tensors = Mapping[str, torch.Tensor]


class Program(Protocol):
    """A loaded program; `mutates` says that it may write to its inputs."""

    signature: Signature
    mutates: bool

    def run(self, inputs: Tensors) -> dict[str, torch.Tensor]: ...

    def compile(self) -> None: ...

    def weights(self) -> Sequence[torch.Tensor]:
        """Everything that the program holds beyond one execution."""
        ...


def storage_bytes(tensors: Sequence[torch.Tensor]) -> int:
    """Bytes that the tensors hold; shared storage counts once."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors
    }
    return sum(storages.values())


def let_go(tensors: Sequence[torch.Tensor]) -> None:
    """Empties the tensors, whoever else still refers to them.

    Programs are full of reference cycles; without this their weights would stay until the garbage
    collector comes by, which takes its time (and 0.2 s of everybody's when it does).
    """
    for tensor in tensors:
        tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
