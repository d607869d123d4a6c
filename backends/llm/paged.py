"""Attention over a paged cache of keys and values, as an attention of transformers' own.

All tokens of a step lie in one flat row, prompts and single tokens mixed. Each layer writes their
keys and values to the cache and reads back, by blocks, those that each may see; sequences with few
new tokens are computed together, each long prompt by itself (gather + scaled dot product).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AttentionInterface

from backends.llm.blocks import NULL

NAME = "penstock_paged"
# Sequences with at most so many new tokens share one call; longer ones would waste its padding.
FEW = 8
# What the attention of some models takes beside, and this one doesn't know.
UNKNOWN = ("softcap", "s_aux", "position_bias")


class KeyValues:
    """The cache: for each layer keys and values [blocks, size, heads, width].

    Block NULL stays zero: padding is read from there, and what isn't a number would spread.
    """

    def __init__(
        self, layers: int, blocks: int, size: int, heads: int, width: int, dtype: torch.dtype
    ) -> None:
        shape = (layers, blocks + 1, size, heads, width)
        self.size = size
        self.keys = torch.zeros(shape, dtype=dtype)
        self.values = torch.zeros(shape, dtype=dtype)


@dataclass(frozen=True, slots=True)
class Piece:
    """A sequence's tokens from `start` on, to be computed now, and the blocks that hold it."""

    tokens: list[int]
    start: int
    blocks: list[int]


@dataclass(slots=True, eq=False)
class Group:
    """Sequences whose attention is one call.

    `queries` [rows, most new tokens] are places in the flat row (padding: 0), `real` says which are
    no padding (None: all), `blocks` [rows x most blocks] is what they see, `positions` where the
    queries stand in their sequences.
    """

    queries: torch.Tensor
    real: torch.Tensor | None
    blocks: torch.Tensor
    positions: torch.Tensor
    masks: dict[int, torch.Tensor] = field(default_factory=dict)

    def mask(self, length: int, window: int, dtype: torch.dtype) -> torch.Tensor:
        """[rows, 1, new tokens, length]: what each may see, itself and those before it."""
        if window not in self.masks:
            places = torch.arange(length)
            at = self.positions.unsqueeze(-1)
            hidden = places > at
            if window:
                hidden |= places <= at - window
            mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -torch.inf)
            self.masks[window] = mask.unsqueeze(1)
        return self.masks[window]


@dataclass(slots=True, eq=False)
class Step:
    """One step's tokens as the model takes them, and where they go in the cache."""

    cache: KeyValues
    tokens: torch.Tensor  # [1, tokens]
    positions: torch.Tensor
    slots: torch.Tensor  # [tokens], of the cache
    groups: list[Group]
    ends: list[int]  # of each work in the flat row


def lay_out(cache: KeyValues, pieces: list[Piece]) -> Step:
    """The pieces side by side in their order."""
    tokens: list[int] = []
    positions: list[int] = []
    slots: list[NDArray[np.int64]] = []
    ends: list[int] = []
    few: dict[int, list[tuple[int, Piece]]] = {}
    groups: list[Group] = []
    for piece in pieces:
        count, end = len(piece.tokens), piece.start + len(piece.tokens)
        at = len(tokens)
        tokens += piece.tokens
        positions += range(piece.start, end)
        places = np.arange(piece.start, end)
        blocks = np.asarray(piece.blocks, np.int64)
        slots.append(blocks[places // cache.size] * cache.size + places % cache.size)
        ends.append(len(tokens))
        if count > FEW:
            groups.append(_group(cache, [(at, piece)]))
        else:
            # Twice as long is padded at most, but where all of them are short.
            few.setdefault(max(9, end.bit_length()), []).append((at, piece))
    groups += [_group(cache, members) for members in few.values()]
    return Step(
        cache,
        torch.tensor([tokens]),
        torch.tensor([positions]),
        torch.from_numpy(np.concatenate(slots)),
        groups,
        ends,
    )


def _group(cache: KeyValues, members: list[tuple[int, Piece]]) -> Group:
    rows, most = len(members), max(len(piece.tokens) for _, piece in members)
    wide = max(-(-(piece.start + len(piece.tokens)) // cache.size) for _, piece in members)
    queries = np.zeros((rows, most), np.int64)
    positions = np.zeros((rows, most), np.int64)
    real = np.zeros((rows, most), bool)
    blocks = np.full((rows, wide), NULL, np.int64)
    for row, (at, piece) in enumerate(members):
        count = len(piece.tokens)
        queries[row, :count] = np.arange(at, at + count)
        positions[row, :count] = np.arange(piece.start, piece.start + count)
        real[row, :count] = True
        held = piece.blocks[:wide]
        blocks[row, : len(held)] = held
    return Group(
        torch.from_numpy(queries),
        None if real.all() else torch.from_numpy(real),
        torch.from_numpy(blocks.reshape(-1)),
        torch.from_numpy(positions),
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
    can't.
    """
    if step is None:
        raise ValueError("the model doesn't pass on what its attention needs")
    unknown = [
        name for name in ("softcap", "s_aux", "position_bias") if options.get(name) is not None
    ]
    if unknown or attention_mask is not None:
        raise ValueError(f"the model's attention has {', '.join(unknown) or 'a mask of its own'}")
    cache, layer = step.cache, int(module.layer_idx)  # type: ignore[arg-type]
    keys, values = cache.keys[layer], cache.values[layer]
    keys.flatten(0, 1).index_copy_(0, step.slots, key[0].transpose(0, 1))
    values.flatten(0, 1).index_copy_(0, step.slots, value[0].transpose(0, 1))
    flat = query[0].transpose(0, 1)  # [tokens, heads, width]
    out = flat.new_empty((flat.shape[0], flat.shape[1], value.shape[-1]))
    for group in step.groups:
        found = _attend(group, flat, keys, values, scaling, sliding_window or 0)
        if group.real is None:
            out[group.queries.flatten()] = found.flatten(0, 1)
        else:
            out[group.queries[group.real]] = found[group.real]
    return out.unsqueeze(0), None


def _attend(
    group: Group,
    flat: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scaling: float | None,
    window: int,
) -> torch.Tensor:
    """[rows, new tokens, heads, width] of the group's queries."""
    rows, new = group.queries.shape
    heads, shared = flat.shape[1], keys.shape[2]
    times = heads // shared

    def seen(cache: torch.Tensor) -> torch.Tensor:
        found = cache.index_select(0, group.blocks)
        return found.view(rows, -1, shared, cache.shape[-1]).transpose(1, 2)

    k, v = seen(keys), seen(values)
    mask = group.mask(k.shape[2], window, flat.dtype)
    q = flat[group.queries.flatten()].view(rows, new, shared, times, -1)
    # Heads that share keys are further queries, or for one long prompt further rows: either way no
    # key is copied for them.
    if rows == 1 and new > FEW:
        q = q[0].permute(2, 1, 0, 3)  # [times, shared, new, width]
        k, v = k.expand(times, -1, -1, -1), v.expand(times, -1, -1, -1)
        found = _scaled_dot_product(q, k, v, mask, scaling)
        return found.permute(2, 1, 0, 3).reshape(1, new, heads, -1)
    q = q.permute(0, 2, 3, 1, 4).reshape(rows, shared, times * new, -1)
    if new > 1 and times > 1:
        mask = mask.repeat(1, 1, times, 1)
    found = _scaled_dot_product(q, k, v, mask, scaling)
    found = found.reshape(rows, shared, times, new, -1).permute(0, 3, 1, 2, 4)
    return found.reshape(rows, new, heads, -1)


def _scaled_dot_product(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor, scale: float | None
) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


AttentionInterface.register(NAME, attend)
