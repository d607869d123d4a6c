"""Layers are divided as transformers says, and models that can't be are refused by a sentence."""

from typing import Any

import pytest
import torch
from transformers import GPT2Config, LlamaConfig, MixtralConfig, PretrainedConfig

from backends.llm.paged import NAME
from backends.llm.parallel.reading import outline
from backends.llm.parallel.sharding import INPUTS, OUTPUTS, Shard, shards_of, shrink

SIZES: dict[str, Any] = {
    "vocab_size": 401,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def refused(config: PretrainedConfig, ranks: int) -> str:
    with pytest.raises(ValueError) as caught:
        shards_of(outline(config, torch.float32, NAME), 0, ranks)
    return str(caught.value)


def test_the_first_of_a_pair_is_cut_by_outputs_the_second_by_inputs() -> None:
    shards = shards_of(outline(LlamaConfig(**SIZES), torch.float32, NAME), 1, 2)
    layer = "model.layers.0"
    assert shards[f"{layer}.self_attn.q_proj"] == Shard(OUTPUTS, 32, 16, 32, 16)
    assert shards[f"{layer}.self_attn.k_proj"] == Shard(OUTPUTS, 16, 8, 16, 8)
    assert shards[f"{layer}.mlp.up_proj"] == Shard(OUTPUTS, 64, 32, 64, 32)
    assert shards[f"{layer}.mlp.down_proj"] == Shard(INPUTS, 64, 32, 64, 32)
    assert shards["model.embed_tokens"] == shards["lm_head"] == Shard(OUTPUTS, 401, 201, 401, 201)
    assert f"{layer}.input_layernorm" not in shards


def test_a_part_has_as_many_rows_as_all_others() -> None:
    parts = [Shard.of(rank, 4, OUTPUTS, 5).cut(torch.arange(1, 6), 0) for rank in range(4)]
    assert [each.tolist() for each in parts] == [[1, 2], [3, 4], [5, 0], [0, 0]]


def test_a_bias_of_a_sum_is_added_by_the_first_rank_alone() -> None:
    for rank in range(2):
        model = outline(LlamaConfig(**SIZES, attention_bias=True), torch.float32, NAME)
        shrink(model, shards_of(model, rank, 2))
        attention = model.model.layers[0].self_attn
        assert attention.q_proj.bias.shape == (16,)
        assert (attention.o_proj.bias is None) == (rank > 0)


def test_heads_that_do_not_divide_are_refused() -> None:
    config = LlamaConfig(**SIZES)
    assert refused(config, 4) == "its 2 heads of keys and values can't be divided among 4 ranks"
    assert refused(config, 3) == "its 4 attention heads can't be divided among 3 ranks"


def test_rows_that_do_not_divide_are_refused() -> None:
    config = LlamaConfig(**SIZES | {"intermediate_size": 63})
    assert "63 rows of model.layers.0.mlp.gate_proj" in refused(config, 2)


def test_models_without_a_plan_are_refused_by_name() -> None:
    assert "GPT2LMHeadModel" in refused(GPT2Config(n_embd=32, n_layer=1, n_head=4), 2)


def test_ways_of_dividing_that_are_not_known_are_refused() -> None:
    config = MixtralConfig(**SIZES, num_local_experts=2)
    assert "moe_tp_experts" in refused(config, 2)


def test_quantised_weights_are_refused() -> None:
    config = LlamaConfig(**SIZES)
    config.quantization_config = {"quant_method": "fp8"}
    with pytest.raises(ValueError, match="quantised"):
        outline(config, torch.float32, NAME)
