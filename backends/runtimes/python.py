"""Models that are Python code: a `model.py`, served only where the operator allows code.

The file defines
`predict(inputs)`: NumPy arrays by name to output arrays by name, for a whole batch at once if the
model batches; or, in a decoupled model, a generator `predict(inputs, parameters)` that yields the
parts of one request's reply;
`load(context)` and `unload()` if it wants them, called once before and after;
`signature`, a dictionary of inputs and outputs as in model.yaml, unless they are listed there.
Modules beside it are imported relatively (`from . import tokens`).
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from backends.models.config import ModelConfig, TensorConfig
from backends.runtime import Arrays
from protos.errors import Kind, PenstockError
from protos.settings import Settings
from protos.strict_yaml import ConfigError, validate, without_lines
from protos.values import Parameters, Signature
from protos.wording import quote

EXTENSIONS = ("model.py",)
RUNS_CODE = True

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class ModelContext:
    """What a model's `load` is told; `parameters` are those of model.yaml."""

    folder: Path
    device: str
    threads: int
    parameters: Parameters


def create(artifact: Path, config: ModelConfig, device: str, threads: int) -> "PythonRuntime":
    """`device` and `threads` are told to the model, which has to keep to them itself."""
    return PythonRuntime(artifact, config, device, config.threads or threads)


class PythonRuntime:
    """One module, imported under a name of its own, so that versions don't share their state."""

    def __init__(self, artifact: Path, config: ModelConfig, device: str, threads: int) -> None:
        self._artifact = artifact
        self._config = config
        self._context = ModelContext(artifact.parent, device, threads, config.parameters)
        self._name = f"penstock_model_{next(_numbers)}"
        self._module: ModuleType | None = None
        self._predict: Callable[..., Any] | None = None
        self._outputs: tuple[str, ...] = ()

    def load(self) -> Signature:
        module = _imported(self._name, self._artifact)
        self._module = module
        self._predict = getattr(module, "predict", None)
        if not callable(self._predict):
            raise ValueError(f"{self._artifact.name} has no function predict")
        if (setup := getattr(module, "load", None)) is not None:
            setup(self._context)
        signature = _signature(module, self._config)
        decoupled = inspect.isgeneratorfunction(self._predict)
        if self._config.decoupled and not decoupled:
            raise ValueError("decoupled: predict must be a generator, with yield")
        self._outputs = tuple(spec.name for spec in signature.outputs)
        return Signature("python", signature.inputs, signature.outputs, decoupled=decoupled)

    def stage(self, inputs: Arrays) -> Arrays:
        return inputs

    def execute(self, staged: Arrays) -> Arrays:
        if self._predict is None:
            raise RuntimeError("the model is not loaded")
        return self._checked(self._predict(dict(staged)))

    def stream(self, inputs: Arrays, parameters: Parameters) -> Iterator[Arrays]:
        if self._predict is None:
            raise RuntimeError("the model is not loaded")
        for part in self._predict(dict(inputs), dict(parameters)):
            yield self._checked(part)

    def memory_bytes(self) -> int:
        """Unknown; `memory` in model.yaml says what it takes."""
        return 0

    def unload(self) -> None:
        module, self._module, self._predict = self._module, None, None
        try:
            if module is not None and (tear_down := getattr(module, "unload", None)) is not None:
                tear_down()
        finally:
            _forget(self._name)

    def _checked(self, outputs: Any) -> Arrays:
        if not isinstance(outputs, Mapping):
            raise _bad("predict gave no dictionary of arrays")
        for name in self._outputs:
            if not isinstance(outputs.get(name), np.ndarray):
                raise _bad(f"predict gave no array {quote(name)}")
        return outputs


class _Declared(Settings):
    """The `signature` of a model.py, in the words of model.yaml."""

    inputs: tuple[TensorConfig, ...]
    outputs: tuple[TensorConfig, ...]


def _signature(module: ModuleType, config: ModelConfig) -> Signature:
    said: ModelConfig | _Declared = config
    if (declared := getattr(module, "signature", None)) is not None:
        try:
            said = validate(without_lines(declared, "signature"), _Declared)
        except ConfigError as error:
            raise ValueError(f"signature: {error.message}") from None
        except TypeError as error:
            raise ValueError(f"signature: {error}") from None
    if not said.inputs or not said.outputs:
        raise ValueError(
            "nothing says what the model takes and gives; list inputs and outputs in model.yaml or "
            "in the model's signature"
        )
    return Signature(
        "python",
        tuple(tensor.spec() for tensor in said.inputs),
        tuple(tensor.spec() for tensor in said.outputs),
    )


def _imported(name: str, path: Path) -> ModuleType:
    """The file as a package of its folder, which lets it import what lies beside it."""
    folder = str(path.parent)
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[folder])
    if spec is None or spec.loader is None:
        raise ValueError(f"{path.name} can't be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        _forget(name)
        raise
    return module


def _forget(name: str) -> None:
    for module in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
        del sys.modules[module]


def _bad(message: str) -> PenstockError:
    return PenstockError(Kind.BAD_REPLY, message)
