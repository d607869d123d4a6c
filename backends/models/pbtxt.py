"""The useful part of Triton's `config.pbtxt`, translated into what `model.yaml` says.

What Penstock doesn't honour is named in warnings instead of being dropped in silence.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from google.protobuf import text_format

from backends.models.config import ModelConfig
from protos import open_inference_pb2 as pb
from protos.strict_yaml import ConfigError, validate, without_lines
from protos.wording import quote

FILE = "config.pbtxt"

_RUNTIMES = {
    "onnxruntime": "onnx",
    "onnxruntime_onnx": "onnx",
    "pytorch": "torch",
    "pytorch_libtorch": "torch",
    "python": "python",
}
# Known to the schema, without meaning here; with what to do instead where there is something.
_IGNORED = {
    "default_model_filename": "call the file model with its ending, or have only one",
    "dynamic_batching.preferred_batch_size": "batches are sized by measured cost",
    "dynamic_batching.preserve_ordering": "",
    "input.format": "",
    "instance_group": "start one backend for each device",
    "model_warmup.count": "",
    "model_warmup.inputs.value.input_data_file": "put arrays into an .npz and use model.yaml",
    "output.label_filename": "",
    "response_cache": "caching is set in the route",
}


def parse(text: str, source: str) -> tuple[ModelConfig, tuple[str, ...]]:
    """The configuration and warnings about what has no effect.

    Raises ConfigError for text that isn't a ModelConfig, and for names close to a field's, which
    are taken for typing errors.
    """
    message = pb.ModelConfig()
    try:
        text_format.Parse(text, message, allow_unknown_field=True)
        used = list(dict.fromkeys(_fields(text)))
    except text_format.ParseError as error:
        line = error.GetLine() or 1
        detail = str(error).removeprefix(f"{line}:{error.GetColumn()} : ")
        raise ConfigError(source, line, f"not a valid ModelConfig: {detail}") from None
    warnings = tuple(_warnings(used, source))
    return validate(without_lines(_plain(message, source), source), ModelConfig), warnings


def _plain(message: pb.ModelConfig, source: str) -> dict[str, Any]:
    batching = message.dynamic_batching
    rows = message.max_batch_size
    plain: dict[str, Any] = {
        "batching": {"maxDelay": f"{batching.max_queue_delay_microseconds}us"},
        "decoupled": message.model_transaction_policy.decoupled,
        "inputs": [_tensor(tensor, rows, source) for tensor in message.input],
        "outputs": [_tensor(tensor, rows, source) for tensor in message.output],
        "parameters": {name: value.string_value for name, value in message.parameters.items()},
        "warmUp": _warm_up(message.model_warmup, rows),
    }
    # Triton completes what a short file leaves out from the artifact, and so do we.
    if rows or message.input:
        plain["batching"]["max"] = rows
    if message.name:
        plain["name"] = message.name
    if batching.priority_levels:
        levels = batching.priority_levels
        plain["priority"] = {
            "levels": levels,
            "default": batching.default_priority_level or min(2, levels),
        }
    match message.version_policy.WhichOneof("policy_choice"):
        case "latest":
            plain["versions"] = {"latest": message.version_policy.latest.num_versions or 1}
        case "specific":
            plain["versions"] = list(message.version_policy.specific.versions)
    framework = message.backend or message.platform
    if framework:
        if framework not in _RUNTIMES:
            known = ", ".join(_RUNTIMES)
            raise ConfigError(source, 1, f"{quote(framework)} is not served; known are {known}")
        plain["runtime"] = _RUNTIMES[framework]
    return plain


def _tensor(tensor: pb.ModelInput | pb.ModelOutput, rows: int, source: str) -> dict[str, Any]:
    if tensor.data_type not in pb.DataType.values():  # proto3 reads any number
        where = f"tensor {quote(tensor.name)}"
        raise ConfigError(source, 1, f"{where}: data_type {tensor.data_type} is unknown")
    datatype = pb.DataType.Name(tensor.data_type).removeprefix("TYPE_")
    return {
        "name": tensor.name,
        "datatype": "BYTES" if datatype == "STRING" else datatype,
        "shape": [-1, *tensor.dims] if rows else list(tensor.dims),
        "optional": isinstance(tensor, pb.ModelInput) and tensor.optional,
    }


def _warm_up(samples: Iterable[pb.ModelWarmup], rows: int) -> dict[str, Any]:
    inputs = [item for sample in samples for item in sample.inputs.items()]
    zeros = bool(inputs) and all(given.zero_data for _, given in inputs)
    first = 1 if rows else 0
    return {
        "data": "zeros" if zeros else "random",
        "lengths": {
            f"{name}.{axis}": size
            for name, given in inputs
            for axis, size in enumerate(given.dims, first)
            if size > 0
        },
    }


def _warnings(used: Iterable[str], source: str) -> Iterator[str]:
    unknown: list[str] = []
    for path in used:
        *around, name = path.split(".")
        if any(path.startswith(f"{parent}.") for parent in (*unknown, "instance_group")):
            continue
        descriptor = _descriptor(around)
        if descriptor is not None and name not in descriptor.fields_by_name:
            close = get_close_matches(name, list(descriptor.fields_by_name), 1, cutoff=0.85)
            if close:
                raise ConfigError(
                    source, 1, f"unknown field {quote(path)}; did you mean {quote(close[0])}?"
                )
            unknown.append(path)
            yield f"{source}: {path} has no effect"
        elif path in _IGNORED:
            instead = _IGNORED[path]
            yield f"{source}: {path} has no effect{f'; {instead}' if instead else ''}"


def _descriptor(path: Iterable[str]) -> Any:
    """The message type at a path, None where the schema has none."""
    descriptor: Any = pb.ModelConfig.DESCRIPTOR
    for name in path:
        field = descriptor.fields_by_name.get(name) if descriptor is not None else None
        descriptor = field.message_type if field is not None else None
    return descriptor


def _fields(text: str) -> Iterator[str]:
    """The path of every field that is written, with those that the schema doesn't know."""
    tokens = text_format.Tokenizer(text.splitlines())
    around: list[str] = []
    name = ""
    while not tokens.AtEnd():
        token = tokens.token
        if token in ("{", "<"):
            around.append(name)
        elif token in ("}", ">"):
            name = around.pop()  # another message of the same field may follow in a list
        elif token[0].isalpha() or token[0] == "_":
            name = token
            tokens.NextToken()
            # A value such as TYPE_FP32 is followed by none of these.
            if tokens.token in (":", "{", "<", "["):
                yield ".".join((*around, name))
            continue
        tokens.NextToken()
