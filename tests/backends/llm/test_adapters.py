"""Adapters are read where they fit, refused by a sentence where they don't, and make room."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from backends.llm.adapters import CONFIG, WEIGHTS, Adapters, read
from tests.backends.llm import tiny_models


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    return tiny_models.reference(tiny_models.write(tmp_path_factory.mktemp("model") / "m"))


@pytest.fixture
def folder(model: PreTrainedModel, tmp_path: Path) -> Path:
    return tiny_models.write_adapter(tmp_path / "one", model, seed=0)


def change(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **fields}))


def test_an_adapter_is_two_matrices_a_layer(model: PreTrainedModel, folder: Path) -> None:
    adapter = read(folder, model)
    delta = adapter.deltas["model.layers.0.mlp.down_proj"]
    assert (delta.down.shape, delta.up.shape) == ((64, 3), (3, 32))
    assert adapter.size == sum(each.nbytes for each in load_file(folder / WEIGHTS).values())


def test_rank_stabilised_ones_have_another_scale(model: PreTrainedModel, folder: Path) -> None:
    name = "model.layers.0.mlp.down_proj"
    plain = read(folder, model).deltas[name].up
    change(folder, use_rslora=True)
    assert torch.allclose(read(folder, model).deltas[name].up, plain * 3**0.5)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"peft_type": "IA3"}, "LORA"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"r": 4}, "rank 4"),
        ({"r": "3"}, "numbers"),
        ({"lora_alpha": None}, "numbers"),
    ],
)
def test_what_is_not_done_is_refused_by_name(
    model: PreTrainedModel, folder: Path, fields: dict[str, Any], says: str
) -> None:
    change(folder, **fields)
    with pytest.raises(ValueError, match=says):
        read(folder, model)


def test_weights_of_another_model_are_refused(model: PreTrainedModel, folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    name = next(key for key in tensors if key.endswith("lora_A.weight"))
    save_file({**tensors, name: torch.zeros(3, 31)}, folder / WEIGHTS)
    with pytest.raises(ValueError, match="no such layer of this size"):
        read(folder, model)
    save_file({"base_model.model.lm_head.lora_embedding_A": torch.zeros(1)}, folder / WEIGHTS)
    with pytest.raises(ValueError, match="linear layers"):
        read(folder, model)
    (folder / WEIGHTS).write_bytes(b"not safetensors")
    with pytest.raises(ValueError, match="can't be read"):
        read(folder, model)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ValueError, match="there is no"):
        read(folder, model)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8, torch.float64, torch.bool])
def test_matrices_are_floats_of_16_or_32_bits(
    model: PreTrainedModel, folder: Path, dtype: torch.dtype
) -> None:
    tensors = load_file(folder / WEIGHTS)
    save_file({name: each.to(dtype) for name, each in tensors.items()}, folder / WEIGHTS)
    with pytest.raises(ValueError, match="fp32, fp16 and bf16"):
        read(folder, model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_finite_number_is_refused(
    model: PreTrainedModel, folder: Path, value: float
) -> None:
    tensors = load_file(folder / WEIGHTS)
    name = next(key for key in tensors if key.endswith("lora_A.weight"))
    tensors[name][1, 2] = value
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(ValueError, match="no finite number"):
        read(folder, model)


def test_scales_that_no_weight_can_take_are_refused(model: PreTrainedModel, folder: Path) -> None:
    change(folder, lora_alpha=1e300)
    with pytest.raises(ValueError, match="no finite number"):
        read(folder, model)


def test_what_was_read_depends_on_no_file_any_more(model: PreTrainedModel, folder: Path) -> None:
    adapter = read(folder, model)
    before = {name: each.down.clone() for name, each in adapter.deltas.items()}
    size = (folder / WEIGHTS).stat().st_size
    with (folder / WEIGHTS).open("r+b") as file:
        file.write(b"\x01" * size)
        file.truncate(8)
    assert all(torch.equal(before[name], each.down) for name, each in adapter.deltas.items())


def test_an_adapter_of_a_digest_is_not_read_from_other_files(
    model: PreTrainedModel, folder: Path
) -> None:
    adapters = Adapters(model, 1 << 30)
    adapters.place("a", folder, read(folder, model).digest)
    change(folder, lora_alpha=0.6)
    with pytest.raises(ValueError, match="files have changed"):
        adapters.prepare("a")
    change(folder, lora_alpha=0.3)
    adapters.prepare("a")
    adapters.use([("a", 0, 1)])
    assert adapters.here == ["a"]


def test_the_longest_unused_makes_room_and_comes_back(model: PreTrainedModel, folder: Path) -> None:
    adapters = Adapters(model, 2 * read(folder, model).size)
    for id_ in "abc":
        adapters.place(id_, folder)
    for id_ in "abac":
        adapters.use([("", 0, 1), (id_, 1, 2)])
    assert adapters.here == ["a", "c"]
    adapters.use([("b", 0, 1)])
    assert adapters.here == ["c", "b"]


def test_those_of_a_step_are_all_there_whatever_they_take(
    model: PreTrainedModel, folder: Path
) -> None:
    adapters = Adapters(model, 0)
    for id_ in "ab":
        adapters.place(id_, folder)
    adapters.use([("a", 0, 1), ("b", 1, 2)])
    assert adapters.here == ["a", "b"]
    adapters.use([("", 0, 1)])
    assert adapters.here == []


def test_what_is_prepared_and_never_used_makes_room(model: PreTrainedModel, folder: Path) -> None:
    adapters = Adapters(model, 2 * read(folder, model).size)
    for id_ in "abc":
        adapters.place(id_, folder)
        adapters.prepare(id_)
    assert adapters.here == []
    adapters.use([("c", 0, 1)])
    assert adapters.here == ["c"]
    folder.rename(folder.with_name("gone"))
    adapters.use([("b", 0, 1)])  # it was read before
    with pytest.raises(ValueError, match="there is no"):
        adapters.prepare("a")


def test_no_memory_is_kept_for_one_that_is_retired(model: PreTrainedModel, folder: Path) -> None:
    adapters = Adapters(model, 1 << 30)
    for id_ in "ab":
        adapters.place(id_, folder)
    adapters.use([("a", 0, 1), ("b", 1, 2)])
    adapters.retire("a", changed=False)
    adapters.use([("a", 0, 1)])  # whoever is answered with it, still is
    assert adapters.here == ["b", "a"]
    adapters.use([("b", 0, 1)])
    assert adapters.here == ["b"]
    adapters.use([("a", 0, 1)])


def test_nobody_is_answered_with_files_that_changed_meanwhile(
    model: PreTrainedModel, folder: Path
) -> None:
    adapters = Adapters(model, 1 << 30)
    adapters.place("a", folder)
    adapters.use([("a", 0, 1)])
    adapters.retire("a", changed=True)
    adapters.use([("", 0, 1)])
    with pytest.raises(ValueError, match="there no more"):
        adapters.use([("a", 0, 1)])
