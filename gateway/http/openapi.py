"""The REST face's own description, OpenAPI 3.1: what can be asked, and every answer to it."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson

from gateway.http import openapi_openai
from gateway.http.openapi_headers import LENGTH, headers, parameters
from gateway.http.openapi_operations import (
    ANYWHERE,
    ASKED,
    BODY,
    INFER,
    KNOWN,
    MANAGE,
    OF_MODEL,
    Operation,
    content,
    inference_parameters,
    operation,
    parameter,
)
from gateway.http.openapi_schemas import schemas
from gateway.http.openapi_values import ref
from gateway.identity import NAME, VERSION
from protos.errors import Kind

MODEL = "/v2/models/{model}"
VERSIONED = "/v2/models/{model}/versions/{version}"


@cache
def document() -> bytes:
    """The document as JSON, the same bytes every time."""
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": NAME,
                "version": VERSION,
                "summary": "The Open Inference Protocol V2 with Triton's extensions, and OpenAI's"
                " API.",
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
                "schemas": {**schemas(), **openapi_openai.schemas()},
            },
        }
    )


def _paths() -> dict[str, Any]:
    return {
        "/v2/health/live": {"get": _health("live", "Whether the server runs", "ServerLive")},
        "/v2/health/ready": {
            "get": _health("ready", "Whether any model can be served", "ServerReady")
        },
        "/v2": {"get": _get("server", "Name, version and extensions", "ServerMetadata", KNOWN)},
        "/v2/models/stats": {
            "get": _get("allStatistics", "Statistics of all models", "Statistics", ASKED)
        },
        **_of_model("", "get", _get("model", "A model's interface", "ModelMetadata", OF_MODEL)),
        **_of_model("/ready", "get", _model_ready()),
        **_of_model(
            "/config", "get", _get("config", "A model's configuration", "ModelConfig", ASKED)
        ),
        **_of_model("/stats", "get", _get("statistics", "Statistics", "Statistics", ASKED)),
        **_of_model("/infer", "post", _infer()),
        **_of_model("/generate", "post", _generate()),
        **_of_model("/generate_stream", "post", _generate_stream()),
        "/v2/repository/index": {"post": _index()},
        "/v2/repository/models/{model}/load": _of_repository(
            _post("load", "Loads a model, or loads it anew", "LoadRequest", (*MANAGE, *BODY))
        ),
        # Triton's clients send parameters here that mean nothing to this server.
        "/v2/repository/models/{model}/unload": _of_repository(
            operation("unload", "Unloads a model", content("Done"), MANAGE)
        ),
        **openapi_openai.paths(),
        "/openapi.json": {
            "get": operation("openapi", "This document", {"application/json": {}}, KNOWN)
        },
    }


def _of_model(tail: str, method: str, made: Operation) -> dict[str, Any]:
    """The same operation with and without a version; without one the newest that is READY."""
    pinned = {**made, "operationId": f"{made['operationId']}OfVersion"}
    return {
        MODEL + tail: {"parameters": [parameter("Model")], method: made},
        VERSIONED + tail: {
            "parameters": [parameter("Model"), parameter("Version")],
            method: pinned,
        },
    }


def _of_repository(made: Operation) -> dict[str, Any]:
    return {"parameters": [parameter("Model")], "post": made}


def _get(name: str, summary: str, schema: str, errors: Sequence[Kind]) -> Operation:
    return operation(name, summary, content(schema), errors)


def _post(name: str, summary: str, schema: str, errors: Sequence[Kind]) -> Operation:
    made = operation(name, summary, content("Done"), errors)
    return {**made, "requestBody": {"required": False, "content": content(schema)}}


def _index() -> Operation:
    made = _get("index", "All models that the caller may use", "Index", (*KNOWN, *BODY))
    return {**made, "requestBody": {"required": False, "content": content("IndexRequest")}}


def _health(name: str, summary: str, schema: str) -> Operation:
    made = operation(name, summary, content(schema), ANYWHERE)
    if name == "ready":
        made["responses"]["503"]["content"] = _either(schema)
    return {**made, "security": []}


def _model_ready() -> Operation:
    made = _get("modelReady", "Whether a model can be served now", "ModelReady", OF_MODEL)
    made["responses"]["503"]["content"] = _either("ModelReady")
    return made


def _either(schema: str) -> dict[str, Any]:
    """A 503 that answers the question, or one that refuses it."""
    return {"application/json": {"schema": {"oneOf": [ref(schema), ref("Error")]}}}


def _infer() -> Operation:
    binary = (
        f"A JSON object of {LENGTH} bytes ({{}}), then the binary data of the tensors that have a"
        " `binary_data_size`, in their order."
    )
    replies = {
        **content("InferReply"),
        "application/octet-stream": {
            "schema": {
                "description": binary.format("an InferReply"),
                "x-head": ref("InferReply"),
            }
        },
    }
    made = operation("infer", "Inference on tensors", replies, INFER, traced=True)
    made["responses"]["200"]["headers"][LENGTH] = {"$ref": "#/components/headers/JsonLength"}
    requests = {
        **content("InferRequest"),
        "application/octet-stream": {
            "schema": {
                "description": binary.format("an InferRequest")
                + " With a length of 0 the body is the model's only input and nothing else.",
                "x-head": ref("InferRequest"),
            }
        },
    }
    return {
        **made,
        "parameters": [parameter("JsonLength"), *inference_parameters()],
        "requestBody": {"required": True, "content": requests},
    }


def _generate() -> Operation:
    made = operation(
        "generate", "Inference on a flat object", content("GenerateReply"), INFER, traced=True
    )
    return {**made, **_generate_input()}


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
    made = operation(
        "generateStream", "Inference whose reply comes in parts", events, INFER, traced=True
    )
    return {**made, **_generate_input()}


def _generate_input() -> Operation:
    body = {"required": True, "content": content("GenerateRequest")}
    return {"parameters": inference_parameters(), "requestBody": body}
