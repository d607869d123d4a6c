"""Finds out which exact model version a request means.

A version in the request is a pin; without one the highest version that is READY anywhere serves,
whichever framework runs it.
"""

from collections.abc import Sequence, Sized
from typing import Protocol

from protos.errors import Kind, PenstockError, unknown_model
from protos.timeline import Target
from protos.values import Context, InferRequest, Signature
from routing.endpoints import EndpointTable

DEFAULT_ARM = "default"


class Versions(Protocol):
    """What resolving has to know of the endpoints; `EndpointTable` says what each means."""

    def versions(self, model: str) -> Sequence[str]: ...

    def serving(self, model: str, version: str) -> Sized: ...

    def may_come(self, model: str) -> bool: ...


def resolve(table: Versions, model: str, version: str) -> str:
    """The version that serves; raises NOT_FOUND, or UNAVAILABLE for one that is not READY."""
    versions = table.versions(model)
    if not versions:
        if table.may_come(model):
            raise PenstockError(
                Kind.UNAVAILABLE, f'model "{model}" is not available now', retry_after=1.0
            )
        raise unknown_model(model)
    if version:
        if version not in versions:
            raise unknown_version(model, version)
        if not table.serving(model, version):
            raise not_ready(model, version)
        return version
    for candidate in reversed(versions):
        if table.serving(model, candidate):
            return candidate
    raise not_ready(model, versions[-1])


def unknown_version(model: str, version: str) -> PenstockError:
    return PenstockError(Kind.NOT_FOUND, f'model "{model}" has no version "{version}"')


def not_ready(model: str, version: str) -> PenstockError:
    return PenstockError(
        Kind.UNAVAILABLE, f'model "{model}" version "{version}" is not ready', retry_after=1.0
    )


def signature_of(table: EndpointTable, model: str, version: str) -> Signature:
    """The interface of a version that `resolve` returned."""
    return table.serving(model, version)[0].signatures[model, version]


def aimed(request: InferRequest, target: Target) -> InferRequest:
    """The request on its way to `target`; written out because `replace` costs twice as much."""
    c = request.context
    context = Context(
        c.principal,
        c.deadline,
        c.timeline,
        target,
        c.traceparent,
        c.priority,
        c.shadow,
        c.streaming,
        c.suspect,
        c.route,
        c.headers,
        c.first_deadline,
        c.inner,
    )
    return InferRequest(
        request.id, target.model, target.version, request.payload, request.parameters, context
    )
