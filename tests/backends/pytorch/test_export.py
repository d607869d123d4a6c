"""Exported programs by tensors' names, whatever nesting their authors chose."""

from pathlib import Path

import pytest
import torch
from torch.export import Dim

from backends.models.config import ModelConfig
from backends.pytorch.export import ExportProgram
from backends.pytorch.program import storage_bytes
from protos.errors import Kind, PenstockError
from protos.strict_yaml import load
from tests.backends.made_artifacts import exported, put, saved

CPU = torch.device("cpu")
N = Dim("n")


def program(folder: Path, content: bytes, text: str = "") -> ExportProgram:
    path = put(folder / "model.pt2", content)
    return ExportProgram(path, load(text, "model.yaml", ModelConfig), CPU)


class Nested(torch.nn.Module):
    def forward(
        self, pair: tuple[torch.Tensor, torch.Tensor], extra: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, list[torch.Tensor]]]:
        return pair[0] - pair[1], {"more": [extra["a"], extra["b"] * 2]}


class One(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


class Two(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None, torch.Tensor]:
        return x + 1, None, x.sum(1)


class Together(torch.nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left + right


def test_nested_arguments_and_results_become_named_tensors(tmp_path: Path) -> None:
    # Four tensors of their own: torch.export takes one that is given twice for one input.
    a, b, c, d = (torch.ones(2) for _ in range(4))
    nested = program(tmp_path, saved(Nested(), ((a, b), {"a": c, "b": d})))  # type: ignore[arg-type]
    names = [spec.name for spec in nested.signature.inputs]
    assert names == ["pair_0", "pair_1", "extra_a", "extra_b"]
    given = {name: torch.full((2,), float(at)) for at, name in enumerate(names)}
    found = {name: tensor.tolist() for name, tensor in nested.run(given).items()}
    assert found == {"output_0": [-1, -1], "1.more.0": [2, 2], "1.more.1": [6, 6]}


def test_a_single_result_is_called_output_unless_the_owner_names_it(tmp_path: Path) -> None:
    content = saved(One(), (torch.ones(2),))
    assert program(tmp_path, content).signature.outputs[0].name == "output"
    text = "outputs: [{name: y, datatype: FP32, shape: [2]}]"
    named = program(tmp_path, content, text)
    assert named.signature.outputs[0].name == "y"
    assert named.run({"x": torch.ones(2)})["y"].tolist() == [2, 2]


def test_results_that_are_none_are_left_out(tmp_path: Path) -> None:
    two = program(tmp_path, saved(Two(), (torch.ones(2, 3),)))
    assert two.run({"x": torch.ones(2, 3)}).keys() == {"output_0", "output_2"}


def test_dimensions_beyond_the_limits_are_the_clients_fault(tmp_path: Path) -> None:
    content = saved(One(), (torch.ones(4),), ({0: Dim("n", min=3, max=8)},))
    bounded = program(tmp_path, content)
    for size, message in [(2, "dimension 0 is 2, the model takes at least 3"), (9, "at most 8")]:
        with pytest.raises(PenstockError, match=message) as caught:
            bounded.run({"x": torch.ones(size)})
        assert caught.value.kind is Kind.INVALID
    assert bounded.run({"x": torch.ones(8)})["output"].shape == (8,)


def test_dimensions_that_must_be_equal(tmp_path: Path) -> None:
    content = saved(Together(), (torch.ones(4), torch.ones(4)), ({0: N}, {0: N}))
    together = program(tmp_path, content)
    with pytest.raises(PenstockError, match='"right": dimension 0 is 2, where another input has 3'):
        together.run({"left": torch.ones(3), "right": torch.ones(2)})


def test_without_a_bound_there_is_none(tmp_path: Path) -> None:
    unbounded = saved(One(), (torch.ones(4),), ({0: N},))
    assert program(tmp_path, unbounded).signature.max_batch_size == 0
    assert program(tmp_path, exported()).signature.max_batch_size == 64


def test_programs_that_work_in_place_are_known(tmp_path: Path) -> None:
    assert not program(tmp_path, exported()).mutates
    assert program(tmp_path, saved(torch.nn.ReLU(inplace=True), (torch.ones(2),))).mutates


def test_constants_are_filled_in(tmp_path: Path) -> None:
    class Powers(torch.nn.Module):
        def forward(self, x: torch.Tensor, exponent: int, bias: None) -> torch.Tensor:
            return x**exponent

    content = saved(Powers(), (torch.ones(2), 3, None))  # type: ignore[arg-type]
    powers = program(tmp_path, content)
    assert [spec.name for spec in powers.signature.inputs] == ["x"]
    assert powers.run({"x": torch.full((2,), 2.0)})["output"].tolist() == [8, 8]


def test_complex_tensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x is torch.complex64, which the protocol has no"):
        program(tmp_path, saved(One(), (torch.ones(2, dtype=torch.complex64),)))


def test_shared_weights_count_once(tmp_path: Path) -> None:
    class Shares(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Linear(4, 4, bias=False)
            self.two = self.one

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.two(self.one(x))  # type: ignore[no-any-return]

    assert storage_bytes(program(tmp_path, saved(Shares(), (torch.ones(1, 4),))).weights()) == 64
