"""onnxruntime behind the runtime protocol: every datatype, symbols, threads, refusals."""

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from backends.models.config import ModelConfig
from backends.runtimes.onnx import OnnxRuntime, create
from protos.datatypes import DATATYPES
from protos.errors import Kind, PenstockError
from protos.strict_yaml import load
from protos.values import TensorSpec
from tests.backends.made_artifacts import onnx_model, onnx_scale, put


def loaded(tmp_path: Path, content: bytes, text: str = "") -> OnnxRuntime:
    path = put(tmp_path / "model.onnx", content)
    runtime = create(path, load(text, "model.yaml", ModelConfig), "cpu", 1)
    runtime.load()
    return runtime


def identity(element: int, *, bf16: bool = False) -> bytes:
    """x [rows, 2] to the same; onnxruntime's CPU kernels take BF16 only by way of FP32."""
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    if bf16:
        nodes = [
            helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["wide"], ["y"], to=TensorProto.BFLOAT16),
        ]
    return onnx_model(nodes, [("x", element, ["rows", 2])], [("y", element, ["rows", 2])])


def test_the_signature_has_names_datatypes_and_symbols(tmp_path: Path) -> None:
    path = put(tmp_path / "model.onnx", onnx_scale())
    signature = create(path, ModelConfig(), "cpu", 1).load()
    assert signature.platform == "onnxruntime_onnx"
    assert signature.inputs == (TensorSpec("x", "FP32", (-1, 4), ("rows", None)),)
    assert signature.outputs == (TensorSpec("y", "FP32", (-1, 4), ("rows", None)),)


@pytest.mark.parametrize(
    ("element", "datatype"),
    [
        (TensorProto.BOOL, "BOOL"),
        (TensorProto.UINT8, "UINT8"),
        (TensorProto.UINT16, "UINT16"),
        (TensorProto.UINT32, "UINT32"),
        (TensorProto.UINT64, "UINT64"),
        (TensorProto.INT8, "INT8"),
        (TensorProto.INT16, "INT16"),
        (TensorProto.INT32, "INT32"),
        (TensorProto.INT64, "INT64"),
        (TensorProto.FLOAT16, "FP16"),
        (TensorProto.FLOAT, "FP32"),
        (TensorProto.DOUBLE, "FP64"),
    ],
)
def test_numbers_of_every_datatype(tmp_path: Path, element: int, datatype: str) -> None:
    runtime = loaded(tmp_path, identity(element))
    given = np.array([[0, 1], [1, 1]]).astype(DATATYPES[datatype].dtype)
    given.flags.writeable = False
    found = runtime.execute(runtime.stage({"x": given}))["y"]
    assert found.dtype == given.dtype
    assert np.array_equal(found, given)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_bf16_travels_as_its_bits(tmp_path: Path, rows: int) -> None:
    runtime = loaded(tmp_path, identity(TensorProto.BFLOAT16, bf16=True))
    bits = np.array([[0x3F80, 0xC000]] * rows, np.uint16).reshape(rows, 2)
    assert np.array_equal(runtime.execute(runtime.stage({"x": bits}))["y"], bits)


def test_strings_travel_as_bytes(tmp_path: Path) -> None:
    runtime = loaded(tmp_path, identity(TensorProto.STRING))
    given = np.array([["ä".encode(), b""], [b"b", b"\x00"]], object)
    assert runtime.execute(runtime.stage({"x": given}))["y"].tolist() == given.tolist()


def test_what_is_no_text_is_the_clients_fault(tmp_path: Path) -> None:
    runtime = loaded(tmp_path, identity(TensorProto.STRING))
    with pytest.raises(PenstockError, match='inputs "x": the model takes text') as caught:
        runtime.stage({"x": np.array([[b"\xff", b""]], object)})
    assert caught.value.kind is Kind.INVALID


def test_a_wrong_shape_is_the_clients_fault(tmp_path: Path) -> None:
    runtime = loaded(tmp_path, onnx_scale())
    with pytest.raises(
        PenstockError, match='inputs "x": the model refused its dimensions'
    ) as caught:
        runtime.execute(runtime.stage({"x": np.zeros((1, 5), np.float32)}))
    assert caught.value.kind is Kind.INVALID


def test_a_refusal_holds_no_values_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = onnx_model(
        [helper.make_node("Gather", ["x", "index"], ["y"])],
        [("x", TensorProto.FLOAT, [2]), ("index", TensorProto.INT64, ["rows"])],
        [("y", TensorProto.FLOAT, ["rows"])],
    )
    runtime = loaded(tmp_path, content)
    inputs = {"x": np.zeros(2, np.float32), "index": np.array([31337])}
    with pytest.raises(PenstockError, match='a value or the dimensions of "x", "index"') as caught:
        runtime.execute(runtime.stage(inputs))
    assert caught.value.kind is Kind.INVALID
    assert "31337" not in caught.value.message + "".join(capfd.readouterr())


def test_memory_is_the_weights_with_those_beside_the_program(tmp_path: Path) -> None:
    content = onnx_scale()
    put(tmp_path / "model.onnx.data", b"x" * 100)
    assert loaded(tmp_path, content).memory_bytes() == len(content) + 100


def test_an_unloaded_session_is_gone(tmp_path: Path) -> None:
    runtime = loaded(tmp_path, onnx_scale())
    runtime.unload()
    with pytest.raises(AttributeError):
        runtime.execute(runtime.stage({"x": np.zeros((1, 4), np.float32)}))


@pytest.mark.parametrize("content", [b"", b"rubbish" * 50, onnx_scale()[:-30]])
def test_files_that_are_no_models(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match="onnxruntime can't read it"):
        loaded(tmp_path, content)


@pytest.mark.parametrize("text", ["precision: bf16", "compile: true"])
def test_what_is_for_torch_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="precision and compile are for torch"):
        loaded(tmp_path, onnx_scale(), text)


def test_datatypes_that_the_protocol_lacks_are_refused(tmp_path: Path) -> None:
    content = onnx_model(
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT8E4M3FN)],
        [("x", TensorProto.FLOAT, [2])],
        [("y", TensorProto.FLOAT8E4M3FN, [2])],
        version=19,
    )
    with pytest.raises(ValueError, match=r"y is tensor.float8e4m3fn., which the protocol has no"):
        loaded(tmp_path, content)


def test_cuda_needs_the_build_that_has_it(tmp_path: Path) -> None:
    path = put(tmp_path / "model.onnx", onnx_scale())
    runtime = create(path, ModelConfig(), "cuda:7", 1)
    with pytest.raises(ValueError, match=r"CUDA|onnxruntime can't read it"):
        runtime.load()


@pytest.mark.gpu
def test_the_same_on_a_gpu(tmp_path: Path) -> None:
    path = put(tmp_path / "model.onnx", onnx_scale(3.0))
    runtime = create(path, ModelConfig(), "cuda:0", 1)
    runtime.load()
    ones = np.ones((2, 4), np.float32)
    assert np.array_equal(runtime.execute(runtime.stage({"x": ones}))["y"], ones * 3)


def weights_at(location: str) -> bytes:
    """A model whose one constant lies in a file of its own."""
    model = ModelProto.FromString(onnx_scale())
    (constant,) = model.graph.initializer
    constant.ClearField("float_data")
    constant.ClearField("raw_data")
    constant.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "4")):
        constant.external_data.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content


def test_weights_may_lie_beside_the_model(tmp_path: Path) -> None:
    put(tmp_path / "model.onnx.data", np.float32(3).tobytes())
    runtime = loaded(tmp_path, weights_at("model.onnx.data"))
    outputs = runtime.execute(runtime.stage({"x": np.ones((1, 4), np.float32)}))
    assert outputs["y"].tolist() == [[3, 3, 3, 3]]


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/hostname", "sub/../../secret", "link", "*/_ORT_MEM_ADDR_/*", ""]
)
def test_weights_may_lie_nowhere_else(tmp_path: Path, location: str) -> None:
    put(tmp_path / "secret", bytes(16))
    folder = tmp_path / "m"
    (folder / "sub").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="onnxruntime can't read it"):
        loaded(folder, weights_at(location))
