"""Small real artifacts of every framework, made once and copied to where a test wants them."""

import io
from functools import cache
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper

ROWS = 64  # the most that the exported PyTorch program takes


class Scale(torch.nn.Module):
    """x [rows, 4] to y [rows, 2] and the row's sum."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((2, 4), factor))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": torch.nn.functional.linear(x, self.weight), "total": x.sum(1)}


@cache
def exported(factor: float = 1.0) -> bytes:
    """A .pt2 archive of `Scale`."""
    rows = torch.export.Dim("rows", max=ROWS)
    return saved(Scale(factor), (torch.ones(2, 4),), ({0: rows},))


def saved(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...], shapes: object = None
) -> bytes:
    """A .pt2 archive of any module."""
    program = torch.export.export(module, example, dynamic_shapes=shapes)  # type: ignore[arg-type]
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


@cache
def onnx_scale(factor: float = 1.0) -> bytes:
    """x [rows, 4] to y [rows, 4]."""
    return onnx_model(
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        [("x", TensorProto.FLOAT, ["rows", 4])],
        [("y", TensorProto.FLOAT, ["rows", 4])],
        [helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])],
    )


def onnx_model(
    nodes: list[onnx.NodeProto],
    inputs: list[tuple[str, int, list[object]]],
    outputs: list[tuple[str, int, list[object]]],
    constants: list[onnx.TensorProto] | None = None,
    version: int = 17,
) -> bytes:
    """A model of these nodes; inputs and outputs are name, element type and shape."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        constants or [],
    )
    opset = helper.make_opsetid("", version)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def put(path: Path, content: bytes | str) -> Path:
    """Writes a file and the folders around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
