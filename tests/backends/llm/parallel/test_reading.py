"""A rank reads its part of the weights, wherever they lie, and nothing that doesn't fit."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, PreTrainedModel

from backends.llm.paged import NAME
from backends.llm.parallel.reading import INDEX, WHOLE, outline, read_part
from tests.backends.llm import tiny_models

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_models.write(tmp_path / "m")


def part(folder: Path, rank: int) -> PreTrainedModel:
    model = outline(AutoConfig.from_pretrained(folder), torch.float32, NAME)
    read_part(folder, model, rank, 2, CPU)
    return model


def refused(folder: Path) -> str:
    with pytest.raises(ValueError) as caught:
        part(folder, 0)
    return str(caught.value)


def test_the_parts_together_are_the_whole(folder: Path) -> None:
    whole = load_file(folder / WHOLE)
    parts = [dict(part(folder, rank).named_parameters()) for rank in range(2)]
    for name, dimension in (
        ("model.layers.1.self_attn.v_proj.weight", 0),
        ("model.layers.1.mlp.down_proj.weight", 1),
        ("model.embed_tokens.weight", 0),
        ("lm_head.weight", 0),
    ):
        assert torch.equal(torch.cat([each[name] for each in parts], dimension), whole[name]), name
    for each in parts:
        assert torch.equal(each["model.norm.weight"], whole["model.norm.weight"])


def test_what_no_file_has_is_computed(folder: Path) -> None:
    expected = tiny_models.reference(folder).model.rotary_emb.inv_freq
    assert torch.equal(part(folder, 1).model.rotary_emb.inv_freq, expected)


def test_weights_in_several_files_are_found_by_their_index(folder: Path) -> None:
    whole = load_file(folder / WHOLE)
    (folder / WHOLE).unlink()
    names = sorted(whole)
    where = {name: f"part-{at % 2}.safetensors" for at, name in enumerate(names)}
    for file in set(where.values()):
        save_file({name: whole[name] for name in names if where[name] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"weight_map": where}))
    found = dict(part(folder, 0).named_parameters())["lm_head.weight"]
    assert torch.equal(found, whole["lm_head.weight"][:200])
    (folder / INDEX).write_text(json.dumps({"weight_map": {"x": "../other.safetensors"}}))
    assert "not beside it" in refused(folder)
    (folder / INDEX).write_text("[]")
    assert refused(folder) == f"{INDEX} can't be read"


def test_a_last_layer_that_is_the_first_one_is_read_once(tmp_path: Path) -> None:
    folder = tiny_models.write(tmp_path / "m", tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(folder / WHOLE)
    model = part(folder, 0)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    whole = sum(each.nbytes for each in tiny_models.reference(folder).parameters())
    assert sum(each.nbytes for each in model.parameters()) <= 0.55 * whole


def test_one_with_weights_of_its_own_keeps_them(tmp_path: Path) -> None:
    folder = tiny_models.write(tmp_path / "m", tie_word_embeddings=True)
    whole = load_file(folder / WHOLE)
    last = whole["model.embed_tokens.weight"] + 1
    save_file({**whole, "lm_head.weight": last}, folder / WHOLE)
    assert torch.equal(part(folder, 0).lm_head.weight, last[:200])


def test_weights_that_lack_or_have_another_shape_are_named(folder: Path) -> None:
    whole = load_file(folder / WHOLE)
    name = "model.layers.0.mlp.up_proj.weight"
    save_file({**whole, name: torch.zeros(64, 31)}, folder / WHOLE)
    assert refused(folder) == f"{name} has the shape [64, 31] instead of [64, 32]"
    del whole[name]
    save_file(whole, folder / WHOLE)
    assert refused(folder) == f"there are no weights for {name}"
    (folder / WHOLE).write_bytes(b"not safetensors")
    assert refused(folder) == f"{WHOLE} can't be read"
