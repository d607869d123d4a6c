"""Steps of single tokens in buffers that stay where they are, whose sizes are few.

What isn't needed of a size is padding: it sees nothing but itself, in a block that nobody reads.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

import torch

from backends.llm.paged import Group, KeyValues, Piece, Step

# Launching a step costs the same for all of these, so there need not be many.
SIZES = (1, 2, 4, *range(8, 65, 8), *range(96, 257, 32))
TOKENS, POSITIONS, SLOTS, LENGTHS = range(4)  # of a step's numbers

# The attention of tokens at those places of the flat row, by tables of blocks and lengths.
Attention = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Group]


def size_for(rows: int) -> int | None:
    """The smallest size that has room for so many, if one has."""
    at = bisect_left(SIZES, rows)
    return SIZES[at] if at < len(SIZES) else None


class SingleTokens:
    """Of sequences with at most `wide` blocks each."""

    def __init__(self, cache: KeyValues, wide: int, attention: Attention) -> None:
        self._cache = cache
        self._attention = attention
        most = SIZES[-1]
        self._host = torch.zeros((4, most), dtype=torch.long)
        self._numbers = self._host.to(cache.device)
        self._host_tables = torch.zeros((most, wide), dtype=torch.long)
        self._tables = self._host_tables.to(cache.device)
        self.places = torch.arange(most, device=cache.device)

    def fill(self, pieces: Sequence[Piece], size: int) -> None:
        """One token of each piece, and padding up to the `size`."""
        block, rows = self._cache.size, len(pieces)
        numbers, tables = self._host.numpy(), self._host_tables.numpy()
        wide = max(piece.start // block + 1 for piece in pieces)
        for at, piece in enumerate(pieces):
            held = piece.start // block + 1
            slot = piece.blocks[held - 1] * block + piece.start % block
            numbers[:, at] = piece.tokens[0], piece.start, slot, piece.start + 1
            tables[at, :held] = piece.blocks[:held]
        scratch = self._cache.scratch
        numbers[:, rows:size] = [[0], [0], [scratch * block], [1]]
        tables[rows:size, 0] = scratch
        self._numbers[:, :size].copy_(self._host[:, :size])
        self._tables[:size, :wide].copy_(self._host_tables[:size, :wide])

    def step(self, size: int) -> Step:
        """What `fill` writes for that size, and will write."""
        numbers, places = self._numbers[:, :size], self.places[:size]
        return Step(
            self._cache,
            numbers[TOKENS].unsqueeze(0),
            numbers[POSITIONS].unsqueeze(0),
            numbers[SLOTS],
            [self._attention(places, self._tables[:size], numbers[LENGTHS])],
            [],
        )
