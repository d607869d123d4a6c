"""Weights in eight bits: near to what they were, and used as exactly that."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from backends.llm.choice import Said
from backends.llm.engine import Ask
from backends.llm.int8 import Int8Linear
from backends.llm.loading import load
from backends.llm.sampling import Sampling
from tests.backends.llm import tiny_models
from tests.backends.llm.tiny_models import engine, finish, greedy, reference, same


def test_no_weight_is_further_off_than_half_a_level() -> None:
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    weight[3] = 0.0  # which has no largest
    narrow = Int8Linear(weight, None)
    wide = narrow.weight * narrow.scale[:, None]
    level = weight.abs().amax(1, keepdim=True) / 127
    assert ((wide - weight).abs() <= level / 2 + 1e-7).all()
    assert narrow.weight.nbytes * 4 == weight.nbytes


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_answers_are_those_of_the_rounded_weights(tmp_path: Path, family: str) -> None:
    folder = tiny_models.write(tmp_path / "m", family)
    loaded = load(folder, dtype="fp32", block=4, memory=1 << 22, int8=True)
    model = widened(reference(folder), loaded.model)
    prompt = list(range(20, 31))
    one = engine(loaded)
    one.add("x", Ask(prompt, 20, Sampling(temperature=0.0, logprobs=0)))
    told = [each for each in finish(one)["x"] if isinstance(each, Said)]
    ours = [likely.token for each in told for likely in each.likely]
    assert same(model, prompt, ours, greedy(model, prompt, 20))


def widened(model: PreTrainedModel, narrow: PreTrainedModel) -> PreTrainedModel:
    """transformers' own model with the rounded weights."""
    replaced = 0
    with torch.no_grad():
        for name, module in narrow.named_modules():
            if isinstance(module, Int8Linear):
                weight = module.weight * module.scale[:, None]
                place = model.get_submodule(name)
                place.weight.copy_(weight.t() if isinstance(place, Conv1D) else weight)
                replaced += 1
    assert replaced == sum(name.endswith(ENDS) for name, _ in model.named_modules())
    return model


ENDS = ("_proj", "c_attn", "c_fc")
