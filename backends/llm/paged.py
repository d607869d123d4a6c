"""Attention over a paged cache of keys and values, as an attention of transformers' own.

All tokens of a step lie in one flat row, prompts and single tokens mixed. Each layer writes their
keys and values to the cache and reads back, by blocks, those that each may see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AttentionInterface

from backends.llm import gathered
from backends.llm.engine import Interrupted
from backends.llm.gathered import Row

NAME = "penstock_paged"
# What the attention of some models takes beside, and this one doesn't know.
UNKNOWN = ("softcap", "s_aux", "position_bias")


class Group(Protocol):
    """Rows whose attention is one thing to do."""

    def attend(
        self,
        flat: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        out: torch.Tensor,
        scale: float | None,
        window: int,
    ) -> None:
        """Writes its tokens' rows of `out`; `flat` and `out` are [tokens, heads, width]."""
        ...


# Of rows, the size of a block, and where the cache is.
GroupsOf = Callable[[list[Row], int, torch.device], Sequence[Group]]


class KeyValues:
    """The cache: for each layer keys and values [blocks, size, heads, width].

    Block NULL stays zero: padding is read from there, and what isn't a number would spread. The
    last one, `scratch`, is where padding is written to.
    """

    def __init__(
        self,
        layers: int,
        blocks: int,
        size: int,
        heads: int,
        width: int,
        dtype: torch.dtype,
        device: torch.device | None = None,
    ) -> None:
        """On the CPU where no `device` is named."""
        shape = (layers, blocks + 2, size, heads, width)
        self.size = size
        self.scratch = blocks + 1
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.device = self.keys.device
        self.groups_of: GroupsOf = gathered.groups_of
        if self.device.type == "cuda":
            from backends.llm import on_gpu  # Triton comes with PyTorch for GPUs alone

            self.groups_of = on_gpu.groups_of

    def clear(self, slots: NDArray[np.int64]) -> None:
        """Nothing is left of what was in these places."""
        places = torch.from_numpy(slots).to(self.device)
        for cache in (self.keys, self.values):
            cache.flatten(1, 2).index_fill_(1, places, 0.0)


@dataclass(frozen=True, slots=True)
class Piece:
    """A sequence's tokens from `start` on, to be computed now, and the blocks that hold it."""

    tokens: list[int]
    start: int
    blocks: list[int]


@dataclass(slots=True, eq=False)
class Step:
    """One step's tokens as the model takes them, and where they go in the cache."""

    cache: KeyValues
    tokens: torch.Tensor  # [1, tokens]
    positions: torch.Tensor
    slots: torch.Tensor  # [tokens], of the cache
    groups: Sequence[Group]
    ends: list[int]  # of each work in the flat row
    interrupted: Callable[[], bool] | None = None  # asked before each layer's attention


def lay_out(
    cache: KeyValues, pieces: list[Piece], interrupted: Callable[[], bool] | None = None
) -> Step:
    """The pieces side by side in their order.

    Attention reads whole blocks, and hiding what is no number doesn't help against it: what another
    sequence has left behind the end of a piece is cleared, when a block is begun at the latest.
    """
    size = cache.size
    tokens: list[int] = []
    positions: list[NDArray[np.int64]] = []
    slots: list[NDArray[np.int64]] = []
    ends: list[int] = []
    rows: list[Row] = []
    left: list[NDArray[np.int64]] = []
    for piece in pieces:
        row = Row(len(tokens), len(piece.tokens), piece.start, piece.blocks)
        tokens += piece.tokens
        ends.append(len(tokens))
        end, first = row.start + row.tokens, row.start // size
        places = np.arange(row.start, end)
        blocks = np.asarray(row.blocks[first : -(-end // size)], np.int64)
        positions.append(places)
        slots.append(blocks[places // size - first] * size + places % size)
        rows.append(row)
        # A single token that begins no block follows one behind which this was done.
        if end % size and (row.tokens > 1 or row.start % size == 0):
            left.append(row.blocks[end // size] * size + np.arange(end % size, size))
    if left:
        cache.clear(np.concatenate(left))
    return Step(
        cache,
        torch.tensor([tokens], device=cache.device),
        torch.from_numpy(np.concatenate(positions)).unsqueeze(0).to(cache.device),
        torch.from_numpy(np.concatenate(slots)).to(cache.device),
        cache.groups_of(rows, size, cache.device),
        ends,
        interrupted,
    )


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    step: Step | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """`query` [1, heads, tokens, width], `key` and `value` with their own heads; as transformers'.

    Gives [1, tokens, heads, width]. Raises ValueError for models whose attention does what this one
    can't, and Interrupted where the step was asked to stop.
    """
    if step is None:
        raise ValueError("the model doesn't pass on what its attention needs")
    unknown = [name for name in UNKNOWN if options.get(name) is not None]
    if unknown or attention_mask is not None:
        raise ValueError(f"the model's attention has {', '.join(unknown) or 'a mask of its own'}")
    if step.interrupted is not None and step.interrupted():
        raise Interrupted
    cache, layer = step.cache, int(module.layer_idx)  # type: ignore[arg-type]
    keys, values = cache.keys[layer], cache.values[layer]
    keys.flatten(0, 1).index_copy_(0, step.slots, key[0].transpose(0, 1))
    values.flatten(0, 1).index_copy_(0, step.slots, value[0].transpose(0, 1))
    flat = query[0].transpose(0, 1).contiguous()  # [tokens, heads, width]
    out = flat.new_empty((flat.shape[0], flat.shape[1], value.shape[-1]))
    for group in step.groups:
        group.attend(flat, keys, values, out, scaling, sliding_window or 0)
    return out.unsqueeze(0), None


AttentionInterface.register(NAME, attend)
