"""Which part of which weights a rank holds (tensor parallelism: Shoeybi et al. 2019, Megatron-LM).

The first matrix of a pair is cut by its outputs, the second by its inputs, so that only sums
travel, two in a layer. Embeddings and the last layer are cut by the vocabulary. transformers says
of each architecture which layers those are (its `tp_plan`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import torch
from transformers import PreTrainedModel

from backends.llm.parallel.group import Group

Dimension = Literal[0, 1]
OUTPUTS: Dimension = 0
INPUTS: Dimension = 1
# transformers' names for what needs nothing done, as all ranks hold the same.
_WHOLE = ("replicate", "replicated_with_grad_allreduce")
_GATHERED = ("colwise_gather_output", "colwise_rep")


@dataclass(frozen=True, slots=True)
class Shard:
    """Of `whole` rows (`dimension` 0) or columns of a weight, those from `begin` to `end`.

    `size` are as many as every rank's: the last ones may have fewer, and zeros for the rest.
    """

    dimension: Dimension
    whole: int
    begin: int
    end: int
    size: int

    @classmethod
    def of(cls, rank: int, ranks: int, dimension: Dimension, whole: int) -> "Shard":
        size = -(-whole // ranks)
        begin = min(rank * size, whole)
        return cls(dimension, whole, begin, min(begin + size, whole), size)

    def cut(self, tensor: torch.Tensor, dimension: int) -> torch.Tensor:
        """The rank's part of a tensor that is `whole` long in that dimension."""
        part = tensor.narrow(dimension, self.begin, self.end - self.begin)
        return self.fill(part, dimension)

    def fill(self, part: torch.Tensor, dimension: int) -> torch.Tensor:
        """The part with as many rows or columns as every rank's."""
        missing = self.size - part.shape[dimension]
        if not missing:
            return part
        shape = list(part.shape)
        shape[dimension] = missing
        return torch.cat([part, part.new_zeros(shape)], dimension)


Shards = Mapping[str, Shard]  # by the module's name


def shards_of(model: PreTrainedModel, rank: int, ranks: int) -> dict[str, Shard]:
    """What `rank` holds of each layer that is divided; others are held by all.

    Raises ValueError with a sentence for models that can't be divided.
    """
    plan = dict(model.tp_plan)
    if not plan:
        raise ValueError(f"transformers has no plan for dividing {type(model).__name__}")
    _check_heads(model, ranks)
    last = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    found: dict[str, Shard] = {}
    for name, module in model.named_modules():
        style = plan.get(re.sub(r"\.\d+(?=\.|$)", ".*", name))
        if style is None or style in _WHOLE:
            continue
        if isinstance(module, torch.nn.Linear) and style == "colwise":
            found[name] = Shard.of(rank, ranks, OUTPUTS, _even(module.out_features, ranks, name))
        elif isinstance(module, torch.nn.Linear) and style == "rowwise":
            found[name] = Shard.of(rank, ranks, INPUTS, _even(module.in_features, ranks, name))
        elif style in _GATHERED and module is last and isinstance(module, torch.nn.Linear):
            found[name] = Shard.of(rank, ranks, OUTPUTS, module.out_features)
        elif style == "embedding_rowwise" and isinstance(module, torch.nn.Embedding):
            found[name] = Shard.of(rank, ranks, OUTPUTS, module.num_embeddings)
        else:
            raise ValueError(f"{name} would have to be divided as {style}, which isn't done here")
    return found


def _check_heads(model: PreTrainedModel, ranks: int) -> None:
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    for count, what in ((heads, "attention heads"), (shared, "heads of keys and values")):
        if count % ranks:
            raise ValueError(f"its {count} {what} can't be divided among {ranks} ranks")


def _even(count: int, ranks: int, name: str) -> int:
    if count % ranks:
        raise ValueError(f"the {count} rows of {name} can't be divided among {ranks} ranks")
    return count


def shrink(model: PreTrainedModel, shards: Shards) -> None:
    """Leaves the model, which is on the meta device, room for the rank's part alone."""
    for name, shard in shards.items():
        module = cast(torch.nn.Linear | torch.nn.Embedding, model.get_submodule(name))
        shape = list(module.weight.shape)
        shape[shard.dimension] = shard.size
        # Each its own, where the first and the last layer share one: whether they do, files say.
        module.weight = torch.nn.Parameter(module.weight.new_empty(shape), requires_grad=False)
        if isinstance(module, torch.nn.Embedding):
            module.num_embeddings = shard.size
            module.padding_idx = None  # which only training heeds
            continue
        module.out_features, module.in_features = shape
        if module.bias is not None and shard.dimension == OUTPUTS:
            empty = module.bias.new_empty(shard.size)
            module.bias = torch.nn.Parameter(empty, requires_grad=False)
        elif shard.begin:
            module.register_parameter("bias", None)  # added once, by the first rank


def connect(model: PreTrainedModel, shards: Shards, group: Group) -> None:
    """Has the ranks' parts of each layer put together as the model runs."""
    for name, shard in shards.items():
        module = model.get_submodule(name)
        if isinstance(module, torch.nn.Embedding):
            _connect_embedding(module, shard, group)
        elif shard.dimension == INPUTS:
            module.register_forward_hook(lambda _, taken, given: group.sum(given))
        elif module is model.get_output_embeddings():  # type: ignore[no-untyped-call]
            _connect_last(module, shard, group)


def _connect_last(module: torch.nn.Module, shard: Shard, group: Group) -> None:
    module.register_forward_hook(lambda _, taken, given: group.gather(given)[..., : shard.whole])


def _connect_embedding(module: torch.nn.Embedding, shard: Shard, group: Group) -> None:
    """Each rank looks up its own tokens, and has zeros for those of others."""

    own: list[torch.Tensor] = []  # of the look-up under way

    def shift(_: torch.nn.Module, taken: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        own.append((taken[0] >= shard.begin) & (taken[0] < shard.end))
        return ((taken[0] - shard.begin).clamp(0, shard.size - 1),)

    def put_together(
        _: torch.nn.Module, taken: tuple[torch.Tensor, ...], given: torch.Tensor
    ) -> torch.Tensor:
        return group.sum(given.masked_fill(~own.pop().unsqueeze(-1), 0))

    module.register_forward_pre_hook(shift)
    module.register_forward_hook(put_together)
