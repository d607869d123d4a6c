"""torch.export archives: programs that know everything about their inputs and outputs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch._ops import OpOverload
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind, TensorArgument
from torch.export.passes import move_to_device_pass
from torch.fx.graph import CodeGen
from torch.utils import _pytree as pytree

from backends.models.config import ModelConfig, TensorConfig
from backends.pytorch.program import DTYPES, Tensors
from protos.errors import invalid
from protos.values import Signature, TensorSpec
from protos.wording import quote

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
# Each of the scheduler's sizes and pad lengths is a program of its own when it is compiled.
_COMPILATIONS = 256


class ExportProgram:
    """One archive. Nested arguments and results are taken apart into named tensors.

    Outputs are called by the keys of the dictionary that the model returns; those of a tuple
    `output_0`, `output_1`, …, unless the configuration names as many.
    """

    def __init__(self, path: Path, config: ModelConfig, device: torch.device) -> None:
        program = torch.export.load(path)
        if device.type != "cpu":
            program = move_to_device_pass(program, device)
        graph = program.graph_signature
        values = {node.name: node.meta.get("val") for node in program.graph.nodes}
        ranges = {str(symbol): bound for symbol, bound in program.range_constraints.items()}

        self._leaves: list[tuple[str | None, Any]] = []  # name of the tensor, or a constant
        inputs = []
        for given in graph.input_specs:
            if given.kind is not InputKind.USER_INPUT:
                continue
            argument = given.arg
            if isinstance(argument, TensorArgument):
                inputs.append(_spec(argument.name, values[argument.name]))
                self._leaves.append((argument.name, None))
            elif isinstance(argument, ConstantArgument):
                self._leaves.append((None, argument.value))
            else:
                raise ValueError(f"input {argument.name} is no tensor; export it as one")
        out_spec = program.call_spec.out_spec
        if out_spec is None:
            raise ValueError("the archive doesn't say how its results are nested")
        names = _output_names(out_spec)
        names = _configured(names, config.outputs)
        results = [out.arg for out in graph.output_specs if out.kind is OutputKind.USER_OUTPUT]
        self._outputs: list[str | None] = []
        outputs = []
        for name, result in zip(names, results, strict=True):
            if isinstance(result, TensorArgument):
                outputs.append(_spec(name, values[result.name]))
            elif not (isinstance(result, ConstantArgument) and result.value is None):
                raise ValueError(f"output {name} is no tensor; return it as one")
            self._outputs.append(name if isinstance(result, TensorArgument) else None)

        self._limits = _limits(inputs, ranges)
        # Anything that works in place may do so on an input.
        self.mutates = any(
            isinstance(node.target, OpOverload) and node.target._schema.is_mutable
            for node in program.graph.nodes
        )
        self.signature = Signature(
            "pytorch_export", tuple(inputs), tuple(outputs), _most_rows(inputs, self._limits)
        )
        self._forward = _flat(program, len(self._leaves))
        held = [*program.state_dict.values(), *program.constants.values()]
        self._weights = [tensor for tensor in held if isinstance(tensor, torch.Tensor)]

    def run(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        self._check(inputs)
        leaves = [value if name is None else inputs[name] for name, value in self._leaves]
        results = self._forward(*leaves)
        return {
            name: result
            for name, result in zip(self._outputs, results, strict=True)
            if name is not None
        }

    def compile(self) -> None:
        torch._dynamo.config.recompile_limit = _COMPILATIONS
        self._forward = torch.compile(self._forward, dynamic=False)

    def weights(self) -> Sequence[torch.Tensor]:
        return self._weights

    def _check(self, inputs: Tensors) -> None:
        sizes: dict[str, int] = {}
        for name, axis, symbol, low, high in self._limits:
            size = inputs[name].shape[axis]
            if not low <= size <= high:
                least_or_most = f"at least {low}" if size < low else f"at most {high}"
                raise invalid(
                    f"inputs {quote(name)}: dimension {axis} is {size}, the model takes "
                    f"{least_or_most}"
                )
            if sizes.setdefault(symbol, size) != size:
                raise invalid(
                    f"inputs {quote(name)}: dimension {axis} is {size}, where another input has "
                    f"{sizes[symbol]}"
                )


def _spec(name: str, value: Any) -> TensorSpec:
    datatype = _NAMES.get(value.dtype)
    if datatype is None:
        raise ValueError(f"{name} is {value.dtype}, which the protocol has no datatype for")
    shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    symbols = tuple(None if isinstance(size, int) else str(size) for size in value.shape)
    return TensorSpec(name, datatype, shape, symbols)


def _output_names(out_spec: pytree.TreeSpec) -> list[str]:
    tree = pytree.tree_unflatten(list(range(out_spec.num_leaves)), out_spec)
    paths, _ = pytree.tree_flatten_with_path(tree)
    return [_joined(path) for path, _ in paths]


def _joined(path: Sequence[Any]) -> str:
    parts = [
        str(
            key.idx
            if isinstance(key, pytree.SequenceKey)
            else getattr(key, "key", None) or key.name
        )
        for key in path
    ]
    if all(isinstance(key, pytree.SequenceKey) for key in path):
        return "_".join(["output", *parts])
    return ".".join(parts)


def _configured(names: list[str], outputs: tuple[TensorConfig, ...]) -> list[str]:
    """The configuration's names where the program has none of its own."""
    unnamed = all(name == "output" or name.startswith("output_") for name in names)
    if unnamed and len(outputs) == len(names):
        return [tensor.name for tensor in outputs]
    return names


_Limit = tuple[str, int, str, int, int]  # input, axis, symbol, least, most


def _limits(inputs: list[TensorSpec], ranges: Mapping[str, Any]) -> list[_Limit]:
    return [
        (spec.name, axis, symbol, *_bounds(ranges.get(symbol)))
        for spec in inputs
        for axis, symbol in enumerate(spec.symbols)
        if symbol is not None
    ]


def _bounds(values: Any) -> tuple[int, int]:
    if values is None:
        return 0, 1 << 62
    lower, upper = values.lower, values.upper
    return (
        int(lower) if lower.is_finite else 0,
        int(upper) if upper.is_finite and upper < 1 << 62 else 1 << 62,
    )


def _most_rows(inputs: list[TensorSpec], limits: list[_Limit]) -> int:
    """The tightest bound of the inputs' first dimension; 0 without one."""
    most = min((high for _, axis, _, _, high in limits if axis == 0), default=0)
    return most if most < 1 << 31 else 0


def _flat(program: torch.export.ExportedProgram, leaves: int) -> Callable[..., Sequence[Any]]:
    """The program as a function of its leaves, in order, to its results, in order.

    Taking nested arguments apart and building nested results again, as torch.export does, costs 85
    µs a call, eight times what a small network takes. Guards are left out as well: `run` checks
    limits with a sentence that names the input.
    """
    module: Any = program.module(check_guards=False)
    module.graph.set_codegen(CodeGen())
    if sum(node.op == "placeholder" for node in module.graph.nodes) != leaves:
        raise ValueError("the archive's program doesn't take the inputs that it declares")
    module.recompile()
    forward: Callable[..., Sequence[Any]] = module.forward
    return forward
