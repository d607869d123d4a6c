"""Folders that can be served are read; others are refused by a sentence, and run nothing."""

import contextlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from transformers import Gemma2Config, Gemma2ForCausalLM

from backends.llm.loading import load
from backends.llm.plan import Work
from backends.llm.sampling import Sampling
from backends.llm.sequence import Sequence
from tests.backends.llm import tiny_models


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_models.write(tmp_path / "m")


def refused(folder: Path, memory: int = 1 << 20) -> str:
    with pytest.raises(ValueError) as caught:
        load(folder, dtype="fp32", block=4, memory=memory)
    return str(caught.value)


def test_the_cache_takes_what_it_may(folder: Path) -> None:
    loaded = load(folder, dtype="fp32", block=4, memory=1 << 20)
    # 2 layers of keys and values of 4 tokens in 2 heads of 8 numbers; two blocks are for padding.
    assert loaded.pool.count == (1 << 20) // (2 * 2 * 4 * 2 * 8 * 4) - 2
    assert loaded.longest == 512
    assert loaded.vocabulary.ends == {1}


def test_files_may_be_written_over_and_cut_short_under_a_model(folder: Path) -> None:
    loaded = load(folder, dtype="fp32", block=4, memory=1 << 20)
    before = {name: each.clone() for name, each in loaded.model.state_dict().items()}
    file = folder / "model.safetensors"
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.write(b"\x01" * size)
    assert all(torch.equal(before[name], each) for name, each in loaded.model.state_dict().items())
    with file.open("r+b") as opened:
        opened.truncate(8)
    assert all(torch.equal(before[name], each) for name, each in loaded.model.state_dict().items())
    loaded.runner.run([Work(Sequence(0, [0, 0], 3, Sampling(), blocks=[1]), 0, 2)])


def test_half_precision_halves_the_cache(folder: Path) -> None:
    whole = load(folder, dtype="fp32", block=4, memory=1 << 20)
    half = load(folder, dtype="bf16", block=4, memory=1 << 20)
    assert half.pool.count == 2 * whole.pool.count + 2


def test_a_cache_of_nothing_is_refused(folder: Path) -> None:
    assert "bytes a block" in refused(folder, memory=100)


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    assert refused(folder) == "there are no weights in safetensors"


def test_code_beside_the_weights_is_never_run(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "own"
    config["auto_map"] = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert "transformers can't load it" in refused(folder)
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_a_tokeniser_is_refused(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert refused(folder)


def test_an_attention_that_does_something_else_is_refused(folder: Path) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8}
    config = Gemma2Config(
        **tiny_models.SHAPE, **sizes, num_attention_heads=4, num_key_value_heads=2
    )
    Gemma2ForCausalLM(config).save_pretrained(folder)
    assert "softcap" in refused(folder)


def header(length: int, content: bytes) -> bytes:
    return length.to_bytes(8, "little") + content


def tensor(begin: int, end: int, shape: list[int]) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


OVERLAPPING = json.dumps({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}).encode()
BEYOND = json.dumps({"a": tensor(0, 1 << 60, [1 << 58])}).encode()


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        header(1 << 63, b"{}"),
        header(1 << 40, b"{}"),
        header(1, b"{}"),
        header(2, b"[]"),
        header(len(OVERLAPPING), OVERLAPPING + bytes(12)),
        header(len(BEYOND), BEYOND + bytes(8)),
        b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    ],
    ids=["empty", "huge", "long", "short", "list", "overlapping", "beyond", "pickle"],
)
def test_weights_that_are_no_safetensors_are_refused(folder: Path, weights: bytes) -> None:
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises((ValueError, SafetensorError)):
        load(folder, dtype="fp32", block=4, memory=1 << 20)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"null", b'"x"'])
def test_junk_for_a_configuration_is_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    # Of whatever class: who loads models tells of those that are nobody's sentence by their names.
    with pytest.raises(Exception, match=r"."):
        load(folder, dtype="fp32", block=4, memory=1 << 20)


def test_a_tokenisers_code_is_never_run(folder: Path, tmp_path: Path) -> None:
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config["auto_map"] = {"AutoTokenizer": ["own.Own", "own.Own"]}
    config["tokenizer_class"] = "Own"
    file.write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with contextlib.suppress(ValueError):
        load(folder, dtype="fp32", block=4, memory=1 << 20)
    assert not (tmp_path / "ran").exists()
