"""Attention over blocks of the cache on a GPU: single tokens by our kernel, prompts by PyTorch's.

The kernel reads the cache where it lies; what a piece of a prompt sees is gathered for it, which
costs little beside computing it.
"""

from dataclasses import dataclass

import torch

from backends.llm import decoding
from backends.llm.blocks import NULL
from backends.llm.gathered import FEW, Row, heads_first, mask_of


@dataclass(frozen=True, slots=True)
class Tokens:
    """At the places `at` of the flat row, each by itself: `tables` of blocks, `lengths` seen."""

    at: torch.Tensor
    tables: torch.Tensor
    lengths: torch.Tensor

    def attend(
        self,
        flat: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        out: torch.Tensor,
        scale: float | None,
        window: int,
    ) -> None:
        out[self.at] = decoding.attend(
            flat[self.at], keys, values, self.tables, self.lengths, scale=scale, window=window
        )


@dataclass(frozen=True, slots=True)
class Prompt:
    """A piece of one, and the blocks of all that it sees."""

    row: Row
    blocks: torch.Tensor
    positions: torch.Tensor  # [1, tokens]

    def attend(
        self,
        flat: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        out: torch.Tensor,
        scale: float | None,
        window: int,
    ) -> None:
        at, tokens, _, _ = self.row
        q = flat[at : at + tokens].transpose(0, 1).unsqueeze(0)
        k, v = (heads_first(cache.index_select(0, self.blocks), 1) for cache in (keys, values))
        found = torch.nn.functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask_of(self.positions, 0, k.shape[2], window, flat.dtype, 1),
            scale=scale,
            enable_gqa=True,
        )
        out[at : at + tokens] = found[0].transpose(0, 1)


def groups_of(rows: list[Row], size: int, device: torch.device) -> list[Tokens | Prompt]:
    """Rows of few tokens together, each longer one by itself; blocks hold `size` tokens."""
    found: list[Tokens | Prompt] = []
    few = [row for row in rows if row.tokens <= FEW]
    for row in rows:
        if row.tokens > FEW:
            end = row.start + row.tokens
            blocks = torch.tensor(row.blocks[: -(-end // size)], device=device)
            positions = torch.arange(row.start, end, device=device).unsqueeze(0)
            found.append(Prompt(row, blocks, positions))
    if few:
        wide = max(len(row.blocks) for row in few)
        tables = [
            row.blocks + [NULL] * (wide - len(row.blocks)) for row in few for _ in range(row.tokens)
        ]
        at = [row.at + number for row in few for number in range(row.tokens)]
        lengths = [row.start + number + 1 for row in few for number in range(row.tokens)]
        tensors = (torch.tensor(each, device=device) for each in (at, tables, lengths))
        found.append(Tokens(*tensors))
    return found
