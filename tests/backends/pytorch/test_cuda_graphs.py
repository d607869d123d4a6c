"""Shapes that come again are replayed as graphs; programs that can't be captured still run."""

import pytest
import torch

from backends.pytorch.cuda_graphs import CudaGraphs

pytestmark = pytest.mark.gpu


def ones(rows: int) -> dict[str, torch.Tensor]:
    return {"x": torch.ones(rows, 2, device="cuda")}


def test_a_shape_is_captured_when_it_comes_again() -> None:
    calls = []

    def run(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        calls.append(len(inputs["x"]))
        return {"y": inputs["x"] * 2}

    graphs = CudaGraphs(torch.device("cuda:0"), run)  # type: ignore[arg-type]
    for factor in range(1, 6):
        inputs = {"x": ones(3)["x"] * factor}
        assert graphs.run(inputs)["y"].tolist() == [[2.0 * factor] * 2] * 3
    assert calls == [3, 3]  # plainly, and while it was captured
    graphs.run(ones(4))
    assert calls == [3, 3, 4]


def test_what_looks_at_values_is_never_captured() -> None:
    def run(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"y": inputs["x"] if inputs["x"].sum().item() > 0 else -inputs["x"]}

    graphs = CudaGraphs(torch.device("cuda:0"), run)  # type: ignore[arg-type]
    for _ in range(4):
        assert graphs.run(ones(3))["y"].tolist() == [[1.0] * 2] * 3
