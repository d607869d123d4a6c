"""The REST face's own description, OpenAPI 3.1: what can be asked, and every answer to it."""

from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import orjson

from gateway.http.openapi_headers import LENGTH, ON_ERRORS, TRACED, headers, parameters
from gateway.http.openapi_schemas import schemas
from gateway.http.openapi_values import Schema, ref
from gateway.identity import NAME, VERSION
from protos.errors import TABLE, Kind

Operation = dict[str, Any]

MODEL = "/v2/models/{model}"
VERSIONED = "/v2/models/{model}/versions/{version}"

# What the server itself refuses, whatever the path: malformed, slow and too large heads, transfer
# codings that it doesn't know, too many connections; and what nobody foresaw.
_ANYWHERE = (
    Kind.INVALID,
    Kind.SLOW_CLIENT,
    Kind.HEADERS_TOO_LARGE,
    Kind.INTERNAL,
    Kind.UNIMPLEMENTED,
    Kind.OVERLOADED,
)
_KNOWN = (*_ANYWHERE, Kind.UNAUTHENTICATED)
_MODEL = (*_KNOWN, Kind.NOT_FOUND)
_ASKED = (*_MODEL, Kind.BAD_REPLY, Kind.DEADLINE)  # a backend answers
_BODY = (Kind.TOO_LARGE, Kind.UNSUPPORTED_MEDIA)
_INFER = (*_ASKED, *_BODY, Kind.MODEL_FAILED)
_MANAGE = (*_ASKED, Kind.FORBIDDEN)


@cache
def document() -> bytes:
    """The document as JSON, the same bytes every time."""
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": NAME,
                "version": VERSION,
                "summary": "The Open Inference Protocol V2 with Triton's extensions.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"token": []}, {"key": []}],
            "paths": _paths(),
            "components": {
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                },
                "headers": headers(),
                "parameters": parameters(),
                "schemas": schemas(),
            },
        }
    )


def _paths() -> dict[str, Any]:
    return {
        "/v2/health/live": {"get": _health("live", "Whether the server runs", "ServerLive")},
        "/v2/health/ready": {
            "get": _health("ready", "Whether any model can be served", "ServerReady")
        },
        "/v2": {"get": _get("server", "Name, version and extensions", "ServerMetadata", _KNOWN)},
        "/v2/models/stats": {
            "get": _get("allStatistics", "Statistics of all models", "Statistics", _ASKED)
        },
        **_of_model("", "get", _get("model", "A model's interface", "ModelMetadata", _MODEL)),
        **_of_model("/ready", "get", _model_ready()),
        **_of_model(
            "/config", "get", _get("config", "A model's configuration", "ModelConfig", _ASKED)
        ),
        **_of_model("/stats", "get", _get("statistics", "Statistics", "Statistics", _ASKED)),
        **_of_model("/infer", "post", _infer()),
        **_of_model("/generate", "post", _generate()),
        **_of_model("/generate_stream", "post", _generate_stream()),
        "/v2/repository/index": {"post": _index()},
        "/v2/repository/models/{model}/load": _of_repository(
            _post("load", "Loads a model, or loads it anew", "LoadRequest", (*_MANAGE, *_BODY))
        ),
        # Triton's clients send parameters here that mean nothing to this server.
        "/v2/repository/models/{model}/unload": _of_repository(
            _operation("unload", "Unloads a model", _content("Done"), _MANAGE)
        ),
        "/openapi.json": {
            "get": _operation("openapi", "This document", {"application/json": {}}, _KNOWN)
        },
    }


def _of_model(tail: str, method: str, operation: Operation) -> dict[str, Any]:
    """The same operation with and without a version; without one the newest that is READY."""
    pinned = {**operation, "operationId": f"{operation['operationId']}OfVersion"}
    return {
        MODEL + tail: {"parameters": [_parameter("Model")], method: operation},
        VERSIONED + tail: {
            "parameters": [_parameter("Model"), _parameter("Version")],
            method: pinned,
        },
    }


def _of_repository(operation: Operation) -> dict[str, Any]:
    return {"parameters": [_parameter("Model")], "post": operation}


def _get(name: str, summary: str, schema: str, errors: Sequence[Kind]) -> Operation:
    return _operation(name, summary, _content(schema), errors)


def _post(name: str, summary: str, schema: str, errors: Sequence[Kind]) -> Operation:
    operation = _operation(name, summary, _content("Done"), errors)
    return {**operation, "requestBody": {"required": False, "content": _content(schema)}}


def _index() -> Operation:
    operation = _get("index", "All models that the caller may use", "Index", (*_KNOWN, *_BODY))
    return {**operation, "requestBody": {"required": False, "content": _content("IndexRequest")}}


def _health(name: str, summary: str, schema: str) -> Operation:
    operation = _operation(name, summary, _content(schema), _ANYWHERE)
    if name == "ready":
        operation["responses"]["503"]["content"] = _either(schema)
    return {**operation, "security": []}


def _model_ready() -> Operation:
    operation = _get("modelReady", "Whether a model can be served now", "ModelReady", _MODEL)
    operation["responses"]["503"]["content"] = _either("ModelReady")
    return operation


def _either(schema: str) -> dict[str, Any]:
    """A 503 that answers the question, or one that refuses it."""
    return {"application/json": {"schema": {"oneOf": [ref(schema), ref("Error")]}}}


def _infer() -> Operation:
    binary = (
        f"A JSON object of {LENGTH} bytes ({{}}), then the binary data of the tensors that have a"
        " `binary_data_size`, in their order."
    )
    replies = {
        **_content("InferReply"),
        "application/octet-stream": {
            "schema": {
                "description": binary.format("an InferReply"),
                "x-head": ref("InferReply"),
            }
        },
    }
    operation = _operation("infer", "Inference on tensors", replies, _INFER, traced=True)
    operation["responses"]["200"]["headers"][LENGTH] = {"$ref": "#/components/headers/JsonLength"}
    requests = {
        **_content("InferRequest"),
        "application/octet-stream": {
            "schema": {
                "description": binary.format("an InferRequest")
                + " With a length of 0 the body is the model's only input and nothing else.",
                "x-head": ref("InferRequest"),
            }
        },
    }
    return {
        **operation,
        "parameters": [_parameter("JsonLength"), *_inference_parameters()],
        "requestBody": {"required": True, "content": requests},
    }


def _generate() -> Operation:
    operation = _operation(
        "generate", "Inference on a flat object", _content("GenerateReply"), _INFER, traced=True
    )
    return {**operation, **_generate_input()}


def _generate_stream() -> Operation:
    events = {
        "text/event-stream": {
            "schema": {
                "type": "string",
                "description": "An event for each part of the reply. An error after the first part"
                " is the last event.",
                "x-event-data": {"oneOf": [ref("GenerateReply"), ref("Error")]},
            }
        }
    }
    operation = _operation(
        "generateStream", "Inference whose reply comes in parts", events, _INFER, traced=True
    )
    return {**operation, **_generate_input()}


def _generate_input() -> Operation:
    body = {"required": True, "content": _content("GenerateRequest")}
    return {"parameters": _inference_parameters(), "requestBody": body}


def _inference_parameters() -> list[Schema]:
    return [
        _parameter(name) for name in ("ContentEncoding", "CacheControl", "RequestId", "TraceParent")
    ]


def _operation(
    name: str,
    summary: str,
    content: dict[str, Any],
    errors: Sequence[Kind],
    *,
    traced: bool = False,
) -> Operation:
    shared = TRACED if traced else {}
    responses: dict[str, Any] = {
        "200": {"description": "OK", "headers": dict(shared), "content": content}
    }
    for status in sorted({TABLE[kind].http for kind in errors}):
        more = {
            header: {"$ref": f"#/components/headers/{component}"}
            for header, component, statuses in ON_ERRORS
            if status in statuses
        }
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "headers": {**shared, **more},
            "content": _content("Error"),
        }
    return {"operationId": name, "summary": summary, "responses": responses}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": ref(schema)}}


def _parameter(name: str) -> Schema:
    return {"$ref": f"#/components/parameters/{name}"}
