"""How large a cache of keys and values a model needs, and makes do with."""

from dataclasses import dataclass
from typing import Any

import torch

from backends.llm.paged import KeyValues


@dataclass(frozen=True, slots=True)
class CacheForm:
    """`heads` of keys and values, `width` wide, in blocks of `block` tokens."""

    layers: int
    heads: int
    width: int
    block: int
    dtype: torch.dtype

    @classmethod
    def of(cls, config: Any, block: int, dtype: torch.dtype) -> "CacheForm":
        """As a model of transformers with that configuration needs it."""
        config = config.get_text_config()
        heads = config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        shared = getattr(config, "num_key_value_heads", None) or heads
        return cls(config.num_hidden_layers, shared, width, block, dtype)

    def blocks(self, memory: int) -> int:
        """How many fit into so many bytes, beside the two for padding.

        Raises ValueError if none does.
        """
        one = 2 * self.layers * self.block * self.heads * self.width * self.dtype.itemsize
        blocks = memory // one - 2
        if blocks < 1:
            raise ValueError(f"its cache takes {one} bytes a block, and has {memory} in all")
        return blocks

    def make(self, blocks: int, ranks: int = 1, device: torch.device | None = None) -> KeyValues:
        """The cache of one of so many ranks, each of which has its share of the heads."""
        heads = self.heads // ranks
        return KeyValues(self.layers, blocks, self.block, heads, self.width, self.dtype, device)
