"""TorchScript, whose interface the owner has to write down."""

from pathlib import Path

import pytest
import torch

from backends.models.config import ModelConfig
from backends.pytorch.program import storage_bytes
from backends.pytorch.script import ScriptProgram
from protos.strict_yaml import load

CPU = torch.device("cpu")
X = torch.ones(2, 4)


class Pair(torch.nn.Module):
    def forward(self, x: torch.Tensor, scale: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
        return x * scale, x.sum(1)


class Named(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"total": x.sum(1), "y": x}


def config(inputs: str = "x", outputs: str = "y") -> ModelConfig:
    def tensors(names: str) -> str:
        return ", ".join(f"{{name: {n}, datatype: FP32, shape: [-1, -1]}}" for n in names.split())

    text = f"inputs: [{tensors(inputs)}]\noutputs: [{tensors(outputs)}]"
    return load(text, "model.yaml", ModelConfig)


def program(folder: Path, module: torch.nn.Module, told: ModelConfig) -> ScriptProgram:
    path = folder / "model.pt"
    torch.jit.script(module).save(str(path))
    return ScriptProgram(path, told, CPU)


def test_results_are_named_in_order(tmp_path: Path) -> None:
    found = program(tmp_path, Pair(), config(outputs="twice total")).run({"x": X})
    assert found["twice"].tolist() == [[2] * 4] * 2
    assert found["total"].tolist() == [4, 4]


def test_a_dictionary_has_names_of_its_own(tmp_path: Path) -> None:
    found = program(tmp_path, Named(), config(outputs="y total")).run({"x": X})
    assert list(found) == ["y", "total"]
    assert found["total"].tolist() == [4, 4]


def test_its_memory_is_its_weights(tmp_path: Path) -> None:
    linear = program(tmp_path, torch.nn.Linear(4, 2), config())
    assert storage_bytes(linear.weights()) == (4 * 2 + 2) * 4


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (ModelConfig(), "doesn't say what it takes and gives"),
        (config(inputs="x scale more"), "the program takes 1 to 2 inputs, model.yaml lists 3"),
        (
            load(
                "inputs: [{name: x, datatype: BYTES, shape: [1]}]\n"
                "outputs: [{name: y, datatype: FP32, shape: [1]}]",
                "model.yaml",
                ModelConfig,
            ),
            "x is BYTES, which PyTorch has no tensors of",
        ),
    ],
)
def test_what_cannot_be_loaded(tmp_path: Path, told: ModelConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        program(tmp_path, Pair(), told)


def test_what_the_owner_promised_must_come(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='gave no "other"'):
        program(tmp_path, Named(), config(outputs="other")).run({"x": X})
    with pytest.raises(ValueError, match=r"gave 2 outputs, model.yaml names 1"):
        program(tmp_path, Pair(), config(outputs="y")).run({"x": X})


def test_it_is_compiled_already(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="TorchScript is compiled already"):
        program(tmp_path, Named(), config()).compile()
