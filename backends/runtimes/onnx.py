"""ONNX models in onnxruntime, on the CPU or a CUDA device."""

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from backends.models.config import ModelConfig
from backends.runtime import Arrays
from protos.datatypes import Array
from protos.errors import Kind, PenstockError, invalid
from protos.values import Parameters, Signature, TensorSpec

EXTENSIONS = (".onnx",)
RUNS_CODE = False

_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(bfloat16)": "BF16",
    "tensor(string)": "BYTES",
}
_BFLOAT16 = 16  # onnx.TensorProto.BFLOAT16


def create(artifact: Path, config: ModelConfig, device: str, threads: int) -> "OnnxRuntime":
    """`device` is cpu or cuda:N; `threads` the cores that one execution may use."""
    if config.precision != "fp32" or config.compile:
        raise ValueError(
            "precision and compile are for torch; an ONNX program's precision is fixed when it is "
            "exported"
        )
    return OnnxRuntime(artifact, device, config.threads or threads)


@dataclass(frozen=True, slots=True)
class _Staged:
    """Inputs for `run`, or a binding that already has them on the device."""

    feed: dict[str, Any]
    binding: Any = None


class OnnxRuntime:
    """One session. BF16 travels as its bits, BYTES as `bytes` (strings inside the session)."""

    def __init__(self, artifact: Path, device: str, threads: int) -> None:
        self._artifact = artifact
        self._threads = threads
        self._cuda = int(device.removeprefix("cuda:") or 0) if device.startswith("cuda") else None
        self._session: Any = None
        self._inputs: dict[str, str] = {}
        self._outputs: dict[str, str] = {}
        self._bound = False
        self._memory = 0

    def load(self) -> Signature:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Spinning wins microseconds and burns the cores that the gateway needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        # Fatal ones only: the others are raised, too, and their texts may quote values of inputs.
        options.log_severity_level = 4
        providers = self._providers()
        try:
            self._session = onnxruntime.InferenceSession(
                str(self._artifact), options, providers=providers
            )
        except Exception as error:  # onnxruntime's errors have no class in common
            raise ValueError(f"onnxruntime can't read it: {_reason(error)}") from error
        inputs = tuple(_spec(value) for value in self._session.get_inputs())
        outputs = tuple(_spec(value) for value in self._session.get_outputs())
        self._inputs = {spec.name: spec.datatype for spec in inputs}
        self._outputs = {spec.name: spec.datatype for spec in outputs}
        datatypes = {*self._inputs.values(), *self._outputs.values()}
        # Strings live on the host only. What is BF16 has no NumPy type and needs the binding.
        self._bound = "BYTES" not in datatypes and (self._cuda is not None or "BF16" in datatypes)
        if "BF16" in datatypes and not self._bound:
            raise ValueError("a program with both BF16 and BYTES is not supported")
        self._memory = _size(self._artifact)
        return Signature("onnxruntime_onnx", inputs, outputs)

    def stage(self, inputs: Arrays) -> _Staged:
        feed = {name: self._value(name, array) for name, array in inputs.items()}
        if not self._bound:
            return _Staged(feed)
        binding = self._session.io_binding()
        for name, value in feed.items():
            # Copies to the device where the program wants it there.
            if isinstance(value, onnxruntime.OrtValue):
                binding.bind_ortvalue_input(name, value)
            else:
                binding.bind_cpu_input(name, value)
        for name in self._outputs:
            binding.bind_output(name, "cpu")
        binding.synchronize_inputs()
        return _Staged(feed, binding)

    def execute(self, staged: _Staged) -> Arrays:
        names = list(self._outputs)
        try:
            if staged.binding is None:
                values = self._session.run(names, staged.feed)
            else:
                self._session.run_with_iobinding(staged.binding)
                staged.binding.synchronize_outputs()
                values = staged.binding.get_outputs()
        except InvalidArgument as error:
            raise self._refusal(error) from None
        return {name: self._array(name, value) for name, value in zip(names, values, strict=True)}

    def stream(self, inputs: Arrays, parameters: Parameters) -> Iterator[Arrays]:
        raise PenstockError(Kind.UNIMPLEMENTED, "an ONNX model answers in one part")

    def memory_bytes(self) -> int:
        """The size of the weights on disk; onnxruntime doesn't say what its arenas hold."""
        return self._memory

    def unload(self) -> None:
        self._session = None

    def _providers(self) -> list[Any]:
        if self._cuda is None:
            return ["CPUExecutionProvider"]
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise ValueError("this onnxruntime has no CUDA; install onnxruntime-gpu")
        return [("CUDAExecutionProvider", {"device_id": self._cuda}), "CPUExecutionProvider"]

    def _refusal(self, error: Exception) -> PenstockError:
        """A sentence of our own: onnxruntime's may quote values, as that of a wrong index does."""
        text = str(error)
        for name in self._inputs:
            if f" for input: {name} " in text:
                return invalid(f'inputs "{name}": the model refused its dimensions')
        named = ", ".join(f'"{name}"' for name in self._inputs)
        return invalid(f"inputs: the model refused a value or the dimensions of {named}")

    def _value(self, name: str, array: Array) -> Any:
        """What the session takes for an array."""
        datatype = self._inputs[name]
        if datatype == "BYTES":
            return _strings(name, array)
        if not self._bound:
            return array
        array = np.ascontiguousarray(array)
        if datatype == "BF16":
            # The element type tells onnxruntime what the 16 bits mean.
            return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, _BFLOAT16)
        return array

    def _array(self, name: str, value: Any) -> Array:
        datatype = self._outputs[name]
        if datatype == "BYTES":
            array = np.empty(value.size, object)
            array[:] = [text.encode() for text in value.ravel()]
            return array.reshape(value.shape)
        if datatype == "BF16":
            return _bits(value)
        return np.asarray(value if not self._bound else value.numpy())


def _strings(name: str, array: Array) -> Array:
    try:
        texts = [element.decode() for element in array.ravel()]
    except UnicodeDecodeError:
        raise invalid(f'inputs "{name}": the model takes text, and this is not UTF-8') from None
    strings = np.empty(len(texts), object)
    strings[:] = texts
    return strings.reshape(array.shape)


def _bits(value: Any) -> Array:
    """A copy of a BF16 tensor on the host, which onnxruntime gives no array for."""
    shape = tuple(value.shape())
    count = math.prod(shape)
    if not count:
        return np.empty(shape, np.uint16)
    words = (ctypes.c_uint16 * count).from_address(value.data_ptr())
    return np.frombuffer(words, np.uint16).reshape(shape).copy()


def _size(artifact: Path) -> int:
    """Bytes of the program and of the weights beside it."""
    parts = [path for path in artifact.parent.iterdir() if path.name.startswith(artifact.name)]
    return sum(path.stat().st_size for path in parts)


def _reason(error: Exception) -> str:
    """onnxruntime's sentence without its prefix: "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : "."""
    return str(error).rpartition(" : ")[2].replace("\n", " ")


def _spec(value: Any) -> TensorSpec:
    datatype = _DATATYPES.get(value.type)
    if datatype is None:
        raise ValueError(f"{value.name} is {value.type}, which the protocol has no datatype for")
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in value.shape)
    symbols = tuple(size if isinstance(size, str) and size else None for size in value.shape)
    return TensorSpec(value.name, datatype, shape, symbols)
