"""REST V2's control side: metadata, repository index, statistics and configuration as JSON."""

from collections.abc import Iterable
from typing import Any, Protocol

import orjson
from google.protobuf.message import Message

from protos import open_inference_pb2 as pb
from protos.values import Signature, TensorSpec


class IndexEntry(Protocol):
    """One version in the repository index; `reason` is empty where there is none."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str: ...


def server(name: str, version: str, extensions: Iterable[str]) -> bytes:
    return orjson.dumps({"name": name, "version": version, "extensions": list(extensions)})


def model(name: str, versions: Iterable[str], signature: Signature) -> bytes:
    return orjson.dumps(
        {
            "name": name,
            "versions": list(versions),
            "platform": signature.platform,
            "inputs": [_tensor(spec) for spec in signature.inputs],
            "outputs": [_tensor(spec) for spec in signature.outputs],
        }
    )


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def index(entries: Iterable[IndexEntry]) -> bytes:
    return orjson.dumps(
        [
            {"name": e.name, "version": e.version, "state": e.state, "reason": e.reason}
            for e in entries
        ]
    )


def statistics(models: Iterable[pb.ModelStatistics]) -> bytes:
    return orjson.dumps({"model_stats": [to_plain(each) for each in models]})


def message(found: Message) -> bytes:
    """Any message of the protocol, such as a ModelConfig, as Triton writes it."""
    return orjson.dumps(to_plain(found))


def to_plain(found: Message) -> dict[str, Any]:
    """The message's fields by their names in the .proto file.

    Unlike protobuf's own JSON mapping this writes 64-bit integers as numbers, which is what
    Triton's clients read. Scalars and lists are there even if empty; messages and members of a
    oneof only if set.
    """
    plain: dict[str, Any] = {}
    descriptors: Any = found.DESCRIPTOR.fields
    for field in descriptors:
        if field.has_presence and not found.HasField(field.name):
            continue
        value = getattr(found, field.name)
        if _is_map(field):
            inner = field.message_type.fields_by_name["value"]
            plain[field.name] = {str(key): _plain(inner, each) for key, each in value.items()}
        elif field.is_repeated:
            plain[field.name] = [_plain(field, each) for each in value]
        else:
            plain[field.name] = _plain(field, value)
    return plain


def _is_map(field: Any) -> bool:
    kind = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def _plain(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return to_plain(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value
