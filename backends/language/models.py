"""Looking up language models, and what gateways are told of one."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from backends.language.texts import SIGNATURE
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError, unknown_model
from protos.wording import quote

VERSION = "1"  # such models have no versions


class Entry(Protocol):
    """A model: READY, or with a reason why not."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> pb.ModelState: ...

    @property
    def reason(self) -> str: ...


Known = TypeVar("Known", bound=Entry)


def ready(entries: Mapping[str, Known], name: str, version: str) -> Known:
    """The READY one of that name; raises NOT_FOUND or UNAVAILABLE."""
    entry = entries.get(name)
    if entry is None or version not in ("", VERSION):
        raise unknown_model(name)
    if entry.state != pb.READY:
        raise PenstockError(Kind.UNAVAILABLE, f"model {quote(name)} is not ready", retry_after=1.0)
    return entry


def told(entry: Entry, *, revision: str, platform: str) -> pb.Model:
    """The model as a beat tells it; `revision` is what its answers depend on."""
    model = pb.Model(
        name=entry.name,
        version=VERSION,
        state=entry.state,
        reason=entry.reason,
        revision=revision,
        platform=platform,
        decoupled=SIGNATURE.decoupled,
        idempotent=SIGNATURE.idempotent,
        openai=SIGNATURE.openai,
    )
    for specs, field in ((SIGNATURE.inputs, model.inputs), (SIGNATURE.outputs, model.outputs)):
        for spec in specs:
            field.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
    return model
