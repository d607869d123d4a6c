"""The models that a backend tells of: what lies in one folder must not harm what lies in others."""

from collections.abc import Iterator, Sequence

from protos import discovery_pb2 as pb
from protos.arrays import count
from protos.datatypes import DATATYPES
from protos.names import MAX_CHARACTERS, MAX_TENSORS
from protos.principal import Principal
from protos.wording import quote

MAX_MODELS = 4096  # versions of one backend
MAX_SPECS = 8192  # inputs and outputs of all of them: reading one takes microseconds
MAX_REASON = 4096  # characters of why something isn't ready


class Wrong(Exception):
    """Why something that a backend tells is refused: a sentence that begins with the field."""


def believe_models(table: pb.ModelTable, sender: Principal) -> list[str]:
    """Leaves in the table what faces can show; returns a sentence for each model that can't be.

    Such a model becomes UNAVAILABLE, with that sentence for a reason, where it has a name that is
    its sender's to use, and is left out where it hasn't. Raises Wrong for what is no single
    model's fault: too much in all, or a token for none of the models.
    """
    specs = sum(len(model.inputs) + len(model.outputs) for model in table.models)
    for number, most, what in (
        (len(table.models), MAX_MODELS, "models"),
        (specs, MAX_SPECS, "inputs and outputs"),
    ):
        if number > most:
            raise Wrong(f"models: there are {number} {what}, more than {most}")
    wrongs: list[str] = []
    told = list(_believed(table.models, sender, wrongs))
    versions = [model for model in table.models if model.version]
    if versions and not any(sender.may_join(model.name) for model in versions):
        raise Wrong(f"models: the token isn't for backends of {quote(versions[0].name)}")
    if wrongs:
        table.CopyFrom(pb.ModelTable(models=told))
    return wrongs


def _believed(
    models: Sequence[pb.Model], sender: Principal, wrongs: list[str]
) -> Iterator[pb.Model]:
    seen: set[tuple[str, str]] = set()
    for i, model in enumerate(models):
        where = f"models[{i}]"
        try:
            check_name(model.name, f"{where}.name", MAX_CHARACTERS)
            check_text(model.version, f"{where}.version", MAX_CHARACTERS)
            if not sender.may_join(model.name):
                raise Wrong(f"{where}: the token isn't for backends of {quote(model.name)}")
            if (model.name, model.version) in seen:
                raise Wrong(f"{where}: {quote(model.name)} {quote(model.version)} is there twice")
        except Wrong as wrong:
            wrongs.append(str(wrong))
            continue
        seen.add((model.name, model.version))
        try:
            _model(model, where)
        except Wrong as wrong:
            wrongs.append(str(wrong))
            yield pb.Model(
                name=model.name, version=model.version, state=pb.UNAVAILABLE, reason=str(wrong)
            )
        else:
            yield model


def _model(model: pb.Model, where: str) -> None:
    if model.state not in pb.ModelState.values():  # proto3 reads any number
        raise Wrong(f"{where}.state: {model.state} is unknown")
    check_text(model.reason, f"{where}.reason", MAX_REASON)
    check_text(model.revision, f"{where}.revision", MAX_CHARACTERS)
    check_text(model.platform, f"{where}.platform", MAX_CHARACTERS)
    _tensors(model.inputs, f"{where}.inputs")
    _tensors(model.outputs, f"{where}.outputs")


def _tensors(specs: Sequence[pb.TensorSpec], where: str) -> None:
    if len(specs) > MAX_TENSORS:
        raise Wrong(f"{where}: there are {len(specs)}, more than {MAX_TENSORS}")
    names, shapes = set(), set()
    for i, spec in enumerate(specs):
        name, datatype, shape = spec.name, spec.datatype, tuple(spec.shape)
        if name in names:
            raise Wrong(f"{where}: a name is there twice")
        names.add(name)
        if not _is_name(name, MAX_CHARACTERS):
            raise Wrong(_no_name(f"{where}[{i}].name", MAX_CHARACTERS))
        if datatype not in DATATYPES:
            raise Wrong(f"{where}[{i}].datatype: {quote(datatype)} is unknown")
        if shape not in shapes:  # most are the same
            try:
                count(tuple(1 if size == -1 else size for size in shape))
            except ValueError as error:
                raise Wrong(f"{where}[{i}]: {error}") from None
            shapes.add(shape)


def check_name(value: str, where: str, most: int) -> None:
    """What becomes a key, a label and a word in logs."""
    if not _is_name(value, most):
        raise Wrong(_no_name(where, most))


def check_text(value: str, where: str, most: int) -> None:
    if len(value) > most:
        raise Wrong(f"{where}: is longer than {most} characters")


def _is_name(value: str, most: int) -> bool:
    return 0 < len(value) <= most and value.isprintable()


def _no_name(where: str, most: int) -> str:
    return f"{where}: must be 1 to {most} printable characters"
