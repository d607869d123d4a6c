"""The ranks that hold a model together, and what they say to each other in a step.

Every rank makes the same calls in the same order; each waits for all others, however long those
have nothing to do. A rank that dies breaks the connections to it, so that all others fail at once.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch._C._distributed_c10d import FileStore  # its public name has no type
from torch.distributed import GatherOptions, ProcessGroupGloo, ReduceOp

JOIN = timedelta(seconds=120)  # until all ranks are there
EVER = timedelta(days=3650)  # a rank waits for the next step
FIRST = 4096  # numbers in the first message of a step; few steps need a second one
LOOPBACK = "127.0.0.1"
Backend = Any  # of torch, whose types have no collectives


class Group:
    """`data` carries what models compute: the same as `control`, or NCCL's where they run on GPUs.

    `control` is gloo's, on the loopback interface.
    """

    def __init__(self, rank: int, size: int, control: Backend, data: Backend) -> None:
        self.rank = rank
        self.size = size
        self._control = control
        self._data = data

    @classmethod
    def join(cls, meeting: Path, rank: int, size: int, device: torch.device) -> "Group":
        """Waits for all ranks; they meet at a file that nobody else can read.

        Raises RuntimeError if one of them doesn't come.
        """
        store = FileStore(str(meeting), size)
        control = _gloo(store, rank, size)
        data = _nccl(store, rank, size, device) if device.type == "cuda" else control
        return cls(rank, size, control, data)

    def tell(self, numbers: list[int]) -> None:
        """Sends the numbers to all other ranks, which `hear` them; by rank 0 alone."""
        message = torch.zeros(FIRST, dtype=torch.int32)
        told = torch.tensor([len(numbers), *numbers], dtype=torch.int32)
        message[: min(FIRST, len(told))] = told[:FIRST]
        self._control.broadcast(message, 0).wait()
        if len(told) > FIRST:
            self._control.broadcast(told[FIRST:].clone(), 0).wait()

    def hear(self) -> list[int]:
        """What rank 0 tells next."""
        message = torch.zeros(FIRST, dtype=torch.int32)
        self._control.broadcast(message, 0).wait()
        count = int(message[0])
        heard = message[1 : 1 + count]
        if 1 + count > FIRST:
            rest = torch.zeros(1 + count - FIRST, dtype=torch.int32)
            self._control.broadcast(rest, 0).wait()
            heard = torch.cat([heard, rest])
        found: list[int] = heard.tolist()
        return found

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of all ranks' tensors, in place where that can be."""
        tensor = tensor.contiguous()
        self._data.allreduce(tensor).wait()
        return tensor

    def largest(self, tensor: torch.Tensor) -> torch.Tensor:
        """The largest of all ranks' numbers, each by its place."""
        tensor = tensor.contiguous()
        self._data.allreduce(tensor, ReduceOp.MAX).wait()
        return tensor

    def gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """All ranks' tensors side by side in the last dimension, for rank 0; others get their own.

        They must have the same shape.
        """
        tensor = tensor.contiguous()
        if tensor.numel() == 0:
            return torch.cat([tensor] * self.size, -1) if self.rank == 0 else tensor
        options = GatherOptions()
        options.rootRank = 0
        parts = [torch.empty_like(tensor) for _ in range(self.size)] if self.rank == 0 else []
        self._data.gather([parts] if parts else [], [tensor], options).wait()
        return torch.cat(parts, -1) if parts else tensor


def _gloo(store: FileStore, rank: int, size: int) -> Backend:
    options = ProcessGroupGloo._Options()  # type: ignore[attr-defined]
    options._devices = [ProcessGroupGloo.create_device(hostname=LOOPBACK)]
    options._timeout = JOIN
    group = ProcessGroupGloo(store, rank, size, options)
    group.set_timeout(EVER)
    return group


def _nccl(store: FileStore, rank: int, size: int, device: torch.device) -> Backend:
    from torch.distributed import ProcessGroupNCCL  # torch for CPUs has none

    group = ProcessGroupNCCL(store, rank, size, ProcessGroupNCCL.Options())
    group.eager_connect_single_device(device)
    return group
