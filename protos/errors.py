"""The one table of failures: their names on HTTP, gRPC and the exchange, and how to handle them.

Everything that Penstock refuses or that fails in it is raised as `PenstockError`; foreign errors
are translated where they enter. Each transport has one place that turns the error into an answer.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

import grpc

Fault = Literal["client", "server"]
# What a caller that has other backends may do: a call that no batch held may always go elsewhere,
# one whose fate is unknown only if it is idempotent.
Retry = Literal["never", "elsewhere", "if_idempotent"]


class Kind(IntEnum):
    """What went wrong. The numbers travel in `exchange.proto`'s `Part.status`."""

    INVALID = 1
    UNAUTHENTICATED = 2
    FORBIDDEN = 3
    NOT_FOUND = 4
    DEADLINE = 5
    TOO_LARGE = 6
    UNSUPPORTED_MEDIA = 7
    RATE_LIMITED = 8
    OVERLOADED = 9
    UNAVAILABLE = 10
    LOST = 11
    BAD_REPLY = 12
    CANCELLED = 13
    INTERNAL = 14
    UNIMPLEMENTED = 15
    HEADERS_TOO_LARGE = 16
    SLOW_CLIENT = 17
    MODEL_FAILED = 18
    METHOD_NOT_ALLOWED = 19
    INTERRUPTED = 20
    NOT_CACHED = 21
    CUT_OFF = 22
    OCCUPIED = 23


@dataclass(frozen=True, slots=True)
class Row:
    http: int
    grpc: grpc.StatusCode
    fault: Fault
    retry: Retry


TABLE: dict[Kind, Row] = {
    Kind.INVALID: Row(400, grpc.StatusCode.INVALID_ARGUMENT, "client", "never"),
    Kind.UNAUTHENTICATED: Row(401, grpc.StatusCode.UNAUTHENTICATED, "client", "never"),
    Kind.FORBIDDEN: Row(403, grpc.StatusCode.PERMISSION_DENIED, "client", "never"),
    Kind.NOT_FOUND: Row(404, grpc.StatusCode.NOT_FOUND, "client", "never"),
    Kind.METHOD_NOT_ALLOWED: Row(405, grpc.StatusCode.UNIMPLEMENTED, "client", "never"),
    Kind.SLOW_CLIENT: Row(408, grpc.StatusCode.DEADLINE_EXCEEDED, "client", "never"),
    Kind.TOO_LARGE: Row(413, grpc.StatusCode.RESOURCE_EXHAUSTED, "client", "never"),
    Kind.UNSUPPORTED_MEDIA: Row(415, grpc.StatusCode.INVALID_ARGUMENT, "client", "never"),
    Kind.RATE_LIMITED: Row(429, grpc.StatusCode.RESOURCE_EXHAUSTED, "client", "never"),
    Kind.HEADERS_TOO_LARGE: Row(431, grpc.StatusCode.RESOURCE_EXHAUSTED, "client", "never"),
    # nginx's number for a client that went away; nobody is left to read it but the logs.
    Kind.CANCELLED: Row(499, grpc.StatusCode.CANCELLED, "client", "never"),
    Kind.INTERNAL: Row(500, grpc.StatusCode.INTERNAL, "server", "never"),
    Kind.MODEL_FAILED: Row(500, grpc.StatusCode.INTERNAL, "server", "never"),
    Kind.UNIMPLEMENTED: Row(501, grpc.StatusCode.UNIMPLEMENTED, "client", "never"),
    Kind.BAD_REPLY: Row(502, grpc.StatusCode.INTERNAL, "server", "if_idempotent"),
    # The backend refused before it executed anything.
    Kind.OVERLOADED: Row(503, grpc.StatusCode.UNAVAILABLE, "server", "elsewhere"),
    Kind.UNAVAILABLE: Row(503, grpc.StatusCode.UNAVAILABLE, "server", "elsewhere"),
    # So did it, because another call is tried alone there, which may kill it.
    Kind.OCCUPIED: Row(503, grpc.StatusCode.UNAVAILABLE, "server", "elsewhere"),
    # A batch held the call, then the backend gave up on it: no crash, but it may have run.
    Kind.INTERRUPTED: Row(503, grpc.StatusCode.UNAVAILABLE, "server", "if_idempotent"),
    # The connection died with the call in flight.
    Kind.LOST: Row(503, grpc.StatusCode.UNAVAILABLE, "server", "if_idempotent"),
    # It died in silence: the network's doing, for a process that dies closes its connections.
    Kind.CUT_OFF: Row(503, grpc.StatusCode.UNAVAILABLE, "server", "if_idempotent"),
    # RFC 9111, 5.2.1.7: the client wanted a kept answer or none.
    Kind.NOT_CACHED: Row(504, grpc.StatusCode.FAILED_PRECONDITION, "client", "never"),
    Kind.DEADLINE: Row(504, grpc.StatusCode.DEADLINE_EXCEEDED, "server", "never"),
}


# Seconds after which to ask again what is busy or out of reach, where nobody knows better.
RETRY_AFTER = 1.0


class Timing(NamedTuple):
    """What a backend tells of a call that it failed, as far as it got."""

    queue_us: int
    compute_us: int
    batch_rows: int
    padded_rows: int


class PenstockError(Exception):
    """A failure with its kind, a sentence for the client, and when to try again.

    The sentence names the field at fault where there is one; it never holds values of a tenant's
    data, paths or stacks. `param` (that field) and `code` (the failure's name) are what OpenAI's
    errors have beside it, where they say more than the kind. `timing` is what a backend told of the
    call that failed.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        retry_after: float | None = None,
        param: str = "",
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        if retry_after is None and TABLE[kind].http == 503:
            retry_after = RETRY_AFTER
        self.retry_after = retry_after  # seconds
        self.param = param
        self.code = code
        self.timing: Timing | None = None

    @property
    def row(self) -> Row:
        return TABLE[self.kind]

    def copy(self) -> "PenstockError":
        """One of its own for each who raises it, or tracebacks of all would grow on one."""
        return PenstockError(
            self.kind,
            self.message,
            retry_after=self.retry_after,
            param=self.param,
            code=self.code,
        )

    def __reduce__(self) -> tuple[object, ...]:
        # Decoding happens in other processes too; Exception's own way loses keyword arguments.
        return _rebuild, (self.kind, self.message, self.retry_after, self.param, self.code)

    def __repr__(self) -> str:
        return f"<PenstockError {self.kind.name}: {self.message}>"


def _rebuild(
    kind: Kind, message: str, retry_after: float | None, param: str, code: str
) -> PenstockError:
    return PenstockError(kind, message, retry_after=retry_after, param=param, code=code)


def invalid(message: str, param: str = "") -> PenstockError:
    """The commonest refusal: the client's input is wrong, and the sentence says where."""
    return PenstockError(Kind.INVALID, message, param=param)


def name_of(error: BaseException) -> str:
    """The name of a failure's kind; what nobody waits for any more is CANCELLED."""
    if isinstance(error, PenstockError):
        return error.kind.name
    return Kind.INTERNAL.name if isinstance(error, Exception) else Kind.CANCELLED.name


def unknown_model(model: str) -> PenstockError:
    """The answer for models that don't exist and, word for word, for those out of scope."""
    return PenstockError(
        Kind.NOT_FOUND, f'model "{model}" is not found', param="model", code="model_not_found"
    )
