"""Operations of the REST face's description: answers and refusals, each with its headers."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from gateway.http.openapi_headers import ON_ERRORS, TRACED
from gateway.http.openapi_values import Schema, ref
from protos.errors import TABLE, Kind

Operation = dict[str, Any]

# What the server itself refuses, whatever the path: malformed, slow and too large heads, transfer
# codings that it doesn't know, too many connections; and what nobody foresaw.
ANYWHERE = (
    Kind.INVALID,
    Kind.SLOW_CLIENT,
    Kind.HEADERS_TOO_LARGE,
    Kind.INTERNAL,
    Kind.UNIMPLEMENTED,
    Kind.OVERLOADED,
)
KNOWN = (*ANYWHERE, Kind.UNAUTHENTICATED)
OF_MODEL = (*KNOWN, Kind.NOT_FOUND)
ASKED = (*OF_MODEL, Kind.BAD_REPLY, Kind.DEADLINE)  # a backend answers
BODY = (Kind.TOO_LARGE, Kind.UNSUPPORTED_MEDIA)
INFER = (*ASKED, *BODY, Kind.MODEL_FAILED)
MANAGE = (*ASKED, Kind.FORBIDDEN)


def operation(
    name: str,
    summary: str,
    answer: dict[str, Any],
    errors: Sequence[Kind],
    *,
    traced: bool = False,
    error: str = "Error",
) -> Operation:
    """One operation; `traced`: its replies have what inference tells, `error` is a schema."""
    shared = TRACED if traced else {}
    responses: dict[str, Any] = {
        "200": {"description": "OK", "headers": dict(shared), "content": answer}
    }
    refusal = content(error)
    # Whoever refuses a head doesn't look at what its path stands for.
    either = refusal if error == "Error" else content(error, "Error")
    early = {TABLE[kind].http for kind in ANYWHERE}
    for status in sorted({TABLE[kind].http for kind in errors}):
        more = {
            header: {"$ref": f"#/components/headers/{component}"}
            for header, component, statuses in ON_ERRORS
            if status in statuses
        }
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "headers": {**shared, **more},
            "content": either if status in early else refusal,
        }
    return {"operationId": name, "summary": summary, "responses": responses}


def content(*schemas: str) -> dict[str, Any]:
    """JSON as one of the schemas says."""
    found = [ref(schema) for schema in schemas]
    return {"application/json": {"schema": found[0] if len(found) == 1 else {"oneOf": found}}}


def parameter(name: str) -> Schema:
    return {"$ref": f"#/components/parameters/{name}"}


def inference_parameters() -> list[Schema]:
    return [
        parameter(name) for name in ("ContentEncoding", "CacheControl", "RequestId", "TraceParent")
    ]
