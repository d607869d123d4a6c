"""Which keys a pydantic model has at a path inside it, so that a wrong one can be answered."""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel


def keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys of the mapping at `path`, as files write them; of every member of a union."""
    here: list[Any] = [model]
    for part in path:
        here = [inner for outer in here for inner in _step(outer, part)]
    return list(dict.fromkeys(key for kind in here for key in _fields(kind)))


def _fields(kind: Any) -> dict[str, Any]:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}


def _step(kind: Any, part: str | int) -> Iterator[Any]:
    arguments = get_args(kind)
    if isinstance(part, str):
        if part in (fields := _fields(kind)):
            yield from _members(fields[part])
        elif _is(kind, Mapping):
            yield from _members(arguments[1])
    elif _is(kind, Collection) and not _is(kind, Mapping):
        for argument in arguments:
            yield from _members(argument)


def _members(annotation: Any) -> Iterator[Any]:
    """The kinds of value that an annotation allows: unions and Annotated are looked through."""
    origin = get_origin(annotation)
    if origin is None or _is(annotation, Collection):
        yield annotation
    else:
        arguments = get_args(annotation)
        for argument in arguments[:1] if origin is Annotated else arguments:
            yield from _members(argument)


def _is(kind: Any, base: type) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, base)
