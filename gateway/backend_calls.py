"""Asks a backend by the unary Open Inference Protocol that it serves."""

from typing import TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from protos import exchange_calls
from protos.errors import TABLE, Kind, PenstockError
from routing.endpoint import Endpoint

A = TypeVar("A", bound=Message)

SERVICE = "/inference.GRPCInferenceService/"
QUESTION_SECONDS = 5.0

_KINDS = {
    grpc.StatusCode.NOT_FOUND: Kind.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT: Kind.INVALID,
    grpc.StatusCode.FAILED_PRECONDITION: Kind.UNAVAILABLE,
    grpc.StatusCode.UNAVAILABLE: Kind.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Kind.DEADLINE,
    grpc.StatusCode.UNIMPLEMENTED: Kind.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Kind.OVERLOADED,
}


async def ask(
    endpoint: Endpoint,
    method: str,
    request: Message,
    answer: type[A],
    timeout: float = QUESTION_SECONDS,  # noqa: ASYNC109 (handed to gRPC, which enforces it)
) -> A:
    async with endpoint.exchange.open_channel() as channel:
        call = channel.unary_unary(
            SERVICE + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            metadata = ((exchange_calls.ACCESS_KEY, endpoint.access_key),)
            return await call(request, metadata=metadata, timeout=timeout)
        except aio.AioRpcError as error:
            kind = _KINDS.get(error.code(), Kind.BAD_REPLY)
            raise PenstockError(kind, _told(error, kind)) from error


def _told(error: aio.AioRpcError, kind: Kind) -> str:
    """The backend's own sentence; the transport's would name addresses of the mesh."""
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return "a backend could not be asked"
    return error.details() or TABLE[kind].grpc.name
