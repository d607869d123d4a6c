"""Errors in OpenAI's shape: ours as its clients expect them, and model servers' as ours."""

from typing import Any

import orjson

from protos.errors import Kind, PenstockError
from protos.values import JsonObject

# What a model server says is shown to clients, and may be as long.
LONGEST = 1000  # characters

_TYPES = {
    Kind.UNAUTHENTICATED: "authentication_error",
    Kind.FORBIDDEN: "permission_error",
    Kind.RATE_LIMITED: "rate_limit_error",
    Kind.OVERLOADED: "overloaded_error",
}
_CODES = {Kind.UNAUTHENTICATED: "invalid_api_key", Kind.RATE_LIMITED: "rate_limit_exceeded"}

# What the status of a model server means to whoever asked it; others by their hundred. A refusal of
# the backend's own key is nobody's fault who reads it, and another endpoint may do better.
_KINDS = {
    401: Kind.UNAVAILABLE,
    403: Kind.UNAVAILABLE,
    404: Kind.UNAVAILABLE,
    408: Kind.DEADLINE,
    413: Kind.TOO_LARGE,
    429: Kind.OVERLOADED,
    501: Kind.UNIMPLEMENTED,
    503: Kind.OVERLOADED,
    504: Kind.DEADLINE,
}


def error_object(error: PenstockError) -> dict[str, Any]:
    """The body of an error answer, or the data of the event that ends a stream."""
    kind = error.kind
    ours = "invalid_request_error" if error.row.fault == "client" else "server_error"
    return {
        "error": {
            "message": error.message,
            "type": _TYPES.get(kind, ours),
            "param": error.param or None,
            "code": error.code or _CODES.get(kind),
        }
    }


def encode_error(error: PenstockError) -> bytes:
    return orjson.dumps(error_object(error))


def refusal(status: int, body: bytes, path: str, retry_after: float | None = None) -> PenstockError:
    """What a model server's answer with an error status means.

    Of what it says only refusals of the input are passed on: they are about what the client sent.
    """
    found = _object(body)
    kind = _KINDS.get(status)
    if kind is None:
        kind = Kind.INVALID if 400 <= status < 500 else Kind.MODEL_FAILED
    if status == 404 and found is None:
        return PenstockError(Kind.UNIMPLEMENTED, f"the model's server has no {path}")
    if kind is Kind.OVERLOADED and retry_after is None:
        retry_after = 1.0
    if kind is Kind.INVALID and found is not None:
        code = found.get("code")
        return PenstockError(
            kind,
            _string(found.get("message"))[:LONGEST] or f"the model's server answered {status}",
            param=_string(found.get("param"))[:LONGEST],
            # Some servers repeat the status there, which names nothing.
            code=code[:LONGEST] if isinstance(code, str) else "",
        )
    return PenstockError(kind, f"the model's server answered {status}", retry_after=retry_after)


def broken_off(event: JsonObject) -> PenstockError | None:
    """The failure that an event of a stream tells, if it tells one."""
    found = event.get("error") or (event if event.get("object") == "error" else None)
    if not found:
        return None
    status = found.get("code") if isinstance(found, dict) else None
    if isinstance(status, int) and 400 <= status < 600:
        return refusal(status, orjson.dumps(event), "")
    return PenstockError(Kind.MODEL_FAILED, "the model's server broke the stream off")


def _object(body: bytes) -> JsonObject | None:
    """The error in a body, if that has OpenAI's shape or one of those that servers give it."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict):
        return None
    inner = found.get("error", found)  # vLLM's older servers have no envelope
    if isinstance(inner, str):
        return {"message": inner}
    if isinstance(inner, dict) and isinstance(inner.get("message"), str):
        return inner
    detail = found.get("detail")  # FastAPI's own
    if isinstance(detail, str) and detail != "Not Found":
        return {"message": detail}
    return None


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
