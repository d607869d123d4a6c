"""Attention over blocks of the cache on the CPU, with what PyTorch has for it.

Sequences with few new tokens are one call on the blocks that they see, gathered. A piece of a long
prompt is a call for each run of blocks that lie side by side, which are read where they lie; the
calls' results are joined by their sums of exponentials (as FlashAttention joins its tiles, Dao et
al. 2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from backends.llm.blocks import NULL

# Sequences with at most so many new tokens share one call; longer ones would waste its padding.
FEW = 8
# Blocks in a run, on average, below which they are cheaper to gather than to read where they lie.
SHORT_RUN = 4


class Row(NamedTuple):
    """`tokens` of them from `at` in the flat row, `start` of their sequence before; its blocks."""

    at: int
    tokens: int
    start: int
    blocks: list[int]


@dataclass(slots=True, eq=False)
class Batch:
    """Sequences with few new tokens, whose attention is one call.

    `queries` [rows, most new tokens] are places in the flat row (padding: 0), `real` says which are
    no padding (None: all), `blocks` [rows x most blocks] is what they see, `positions` where the
    queries stand in their sequences.
    """

    queries: torch.Tensor
    real: torch.Tensor | None
    blocks: torch.Tensor
    positions: torch.Tensor
    _masks: dict[int, torch.Tensor] = field(default_factory=dict)

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
        rows, new = self.queries.shape
        heads, shared = flat.shape[1], keys.shape[2]
        times = heads // shared
        k, v = (heads_first(cache.index_select(0, self.blocks), rows) for cache in (keys, values))
        q = flat if new == 1 and rows == flat.shape[0] else flat[self.queries.flatten()]
        # Heads that share keys are further queries: no key is copied for them.
        q = q.view(rows, new, shared, times, -1).permute(0, 2, 3, 1, 4)
        q = q.reshape(rows, shared, times * new, -1)
        mask = self._mask(k.shape[2], window, flat.dtype, times)
        found = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, scale=scale
        )
        found = found.reshape(rows, shared, times, new, -1).permute(0, 3, 1, 2, 4)
        found = found.reshape(rows, new, heads, -1)
        if self.real is None:
            out[self.queries.flatten()] = found.flatten(0, 1)
        else:
            out[self.queries[self.real]] = found[self.real]

    def _mask(self, length: int, window: int, dtype: torch.dtype, times: int) -> torch.Tensor:
        if window not in self._masks:
            self._masks[window] = mask_of(self.positions, 0, length, window, dtype, times)
        return self._masks[window]


@dataclass(slots=True, eq=False)
class Stretch:
    """Many tokens of one prompt; blocks hold `size` of them."""

    row: Row
    size: int
    _seen: dict[int, "_Seen"] = field(default_factory=dict)

    def attend(
        self,
        flat: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        out: torch.Tensor,
        scale: float | None,
        window: int,
    ) -> None:
        """As `Batch.attend`."""
        begin, new = self.row.at, self.row.tokens
        heads, shared = flat.shape[1], keys.shape[2]
        times = heads // shared
        if window not in self._seen:
            self._seen[window] = self._see(window, flat.dtype, times)
        seen = self._seen[window]
        q = flat[begin : begin + new].view(1, new, shared, times, -1).permute(0, 2, 3, 1, 4)
        q = q.reshape(1, shared, times * new, -1)
        found, sums = [], []
        for first, last in seen.runs:
            k, v = (heads_first(cache[first:last], 1) for cache in (keys, values))
            part, its_sum = _scaled_dot_product(q, k, v, None, scale)
            found.append(part)
            sums.append(its_sum)
        k, v = (heads_first(cache.index_select(0, seen.rest), 1) for cache in (keys, values))
        part, its_sum = _scaled_dot_product(q, k, v, seen.mask, scale)
        if found:
            # Each part's share of the sum of exponentials.
            shares = torch.stack([*sums, its_sum]).softmax(0).unsqueeze(-1)
            part = part * shares[-1]
            for each, share in zip(found, shares, strict=False):
                part += each * share
        part = part.reshape(shared, times, new, -1).permute(2, 0, 1, 3)
        out[begin : begin + new] = part.reshape(new, heads, -1)

    def _see(self, window: int, dtype: torch.dtype, times: int) -> "_Seen":
        """What all of its tokens see needs no mask, and has no order: each run is read at once."""
        _, count, start, blocks = self.row
        whole = start // self.size  # blocks that are full before the first token
        first = max(0, start - window + 1) // self.size if window else 0
        runs = [] if window else _runs(blocks[:whole])
        if len(runs) * SHORT_RUN > whole:
            runs = []
        if runs:
            first = whole
        last = -(-(start + count) // self.size)
        positions = torch.arange(start, start + count).unsqueeze(0)
        length = (last - first) * self.size
        return _Seen(
            runs,
            torch.tensor(blocks[first:last]),
            mask_of(positions, first * self.size, length, window, dtype, times),
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Runs of blocks [first, last) without a mask, and the `rest` with one."""

    runs: list[tuple[int, int]]
    rest: torch.Tensor
    mask: torch.Tensor


Group = Batch | Stretch


def groups_of(rows: list[Row], size: int, _: torch.device) -> list[Group]:
    """Rows of few tokens by how long they are, each longer one by itself."""
    found: list[Group] = []
    few: dict[int, list[Row]] = {}
    for row in rows:
        if row.tokens > FEW:
            found.append(Stretch(row, size))
        else:
            # Twice as long is padded at most, but where all of them are short.
            few.setdefault(max(9, (row.start + row.tokens).bit_length()), []).append(row)
    return found + [batch(members, size) for members in few.values()]


def batch(members: Sequence[Row], size: int) -> Batch:
    """Of sequences that have few tokens each; blocks hold `size` of them."""
    rows, most = len(members), max(row.tokens for row in members)
    wide = max(-(-(row.start + row.tokens) // size) for row in members)
    queries = np.zeros((rows, most), np.int64)
    positions = np.zeros((rows, most), np.int64)
    real = np.zeros((rows, most), bool)
    blocks = np.full((rows, wide), NULL, np.int64)
    for number, (at, count, start, held) in enumerate(members):
        queries[number, :count] = np.arange(at, at + count)
        positions[number, :count] = np.arange(start, start + count)
        real[number, :count] = True
        blocks[number, : len(held)] = held[:wide]
    return Batch(
        torch.from_numpy(queries),
        None if real.all() else torch.from_numpy(real),
        torch.from_numpy(blocks.reshape(-1)),
        torch.from_numpy(positions),
    )


def _runs(blocks: Sequence[int]) -> list[tuple[int, int]]:
    """Runs [first, last) of numbers that follow each other, in whatever order they come."""
    found: list[tuple[int, int]] = []
    for block in sorted(blocks):
        if found and found[-1][1] == block:
            found[-1] = (found[-1][0], block + 1)
        else:
            found.append((block, block + 1))
    return found


def heads_first(blocks: torch.Tensor, rows: int) -> torch.Tensor:
    """[rows x blocks, size, heads, width] as [rows, heads, tokens, width], not copied."""
    return blocks.view(rows, -1, *blocks.shape[2:]).transpose(1, 2)


def mask_of(
    positions: torch.Tensor, first: int, length: int, window: int, dtype: torch.dtype, times: int
) -> torch.Tensor:
    """[rows, 1, times x new tokens, length]: each sees itself and those before it."""
    places = torch.arange(first, first + length, device=positions.device)
    at = positions.unsqueeze(-1)
    hidden = places > at
    if window:
        hidden |= places <= at - window
    mask = torch.zeros(hidden.shape, dtype=dtype, device=positions.device)
    mask = mask.masked_fill_(hidden, -torch.inf)
    return mask.repeat(1, times, 1).unsqueeze(1)


def _scaled_dot_product(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What PyTorch computes on CPUs, with the logarithm of its sum [rows, heads, queries]."""
    found, its_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, k, v, 0.0, False, attn_mask=mask, scale=scale
    )
    return found, its_sum
