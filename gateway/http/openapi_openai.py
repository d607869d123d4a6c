"""OpenAI's API in the REST face's description: what the gateway itself knows of its objects.

Everything else in them is the model's affair and passes (protos/openai/request.py).
"""

from typing import Any

from gateway.http.openapi_operations import (
    INFER,
    KNOWN,
    OF_MODEL,
    Operation,
    content,
    inference_parameters,
    operation,
)
from gateway.http.openapi_values import COUNT, NAME, STRING, Schema, array, exact, open_object, ref
from protos.openai.request import MAX_CHOICES, MAX_INPUTS, ROLES, STREAM_OPTIONS
from protos.schedule import MAX_PRIORITY
from protos.usage import MAXIMA

ERROR = "OpenAiError"
_ANYTHING: Schema = {}
_TOKENS = array({"type": "integer"}, minItems=1)
_SEVERAL: dict[str, int] = {"minItems": 1, "maxItems": MAX_INPUTS}
_TEXTS: Schema = {"oneOf": [STRING, array(STRING, **_SEVERAL), _TOKENS, array(_TOKENS, **_SEVERAL)]}


def paths() -> dict[str, Any]:
    """What is below `/v1/`."""
    listed = operation("listModels", "The models here", content("OpenAiModels"), KNOWN, error=ERROR)
    one = operation("getModel", "A model", content("OpenAiModel"), OF_MODEL, error=ERROR)
    name = {"$ref": "#/components/parameters/Model"}
    return {
        "/v1/chat/completions": {"post": _inference("chat", "A message that answers others")},
        "/v1/completions": {"post": _inference("completion", "How a text goes on")},
        "/v1/embeddings": {"post": _inference("embedding", "Vectors of texts")},
        "/v1/models": {"get": listed},
        "/v1/models/{model}": {"parameters": [name], "get": one},
    }


def schemas() -> dict[str, Schema]:
    """The components that they are made of."""
    nullable: Schema = {"type": ["string", "null"]}
    options = sorted(STREAM_OPTIONS)
    generation = {
        "model": NAME,
        "stream": _or_null({"type": "boolean"}),
        "stream_options": _or_null(
            exact(dict.fromkeys(options, _or_null({"type": "boolean"})), *options)
        ),
        "priority": _or_null({"type": "integer", "minimum": 0, "maximum": MAX_PRIORITY}),
        "n": _or_null({"type": "integer", "minimum": 1, "maximum": MAX_CHOICES}),
        **{each: _or_null(COUNT) for each in MAXIMA},
        "best_of": _or_null({"type": "integer", "minimum": 1, "maximum": MAX_CHOICES}),
    }
    # What a stream tells at its end is only for streams.
    streams: Schema = {
        "anyOf": [
            {"properties": {"stream_options": {"type": "null"}}},
            {"properties": {"stream": {"const": True}}, "required": ["stream"]},
        ]
    }
    return {
        ERROR: exact(
            {
                "error": exact(
                    {"message": STRING, "type": STRING, "param": nullable, "code": nullable}
                )
            }
        ),
        "OpenAiModel": exact(
            {"id": NAME, "object": {"const": "model"}, "created": COUNT, "owned_by": STRING}
        ),
        "OpenAiModels": exact({"object": {"const": "list"}, "data": array(ref("OpenAiModel"))}),
        "ChatRequest": _passed_on(
            {
                **generation,
                "messages": array(_message(), minItems=1),
                "max_tokens": _or_null({"type": "integer", "minimum": 1}),
                "max_completion_tokens": _or_null({"type": "integer", "minimum": 1}),
            },
            "model",
            "messages",
            **streams,
        ),
        "CompletionRequest": _passed_on(
            {**generation, "prompt": _TEXTS}, "model", "prompt", **streams
        ),
        "EmbeddingRequest": _passed_on(
            {
                "model": NAME,
                "input": _TEXTS,
                "encoding_format": _or_null({"enum": ["float", "base64"]}),
                "dimensions": _or_null({"type": "integer", "minimum": 1}),
            },
            "model",
            "input",
        ),
        "ChatReply": _passed_on({"model": NAME, "choices": array({"type": "object"})}, "model"),
        "CompletionReply": _passed_on(
            {"model": NAME, "choices": array({"type": "object"})}, "model"
        ),
        "EmbeddingReply": _passed_on({"model": NAME, "data": array({"type": "object"})}, "model"),
    }


def _inference(name: str, summary: str) -> Operation:
    schema = name.capitalize()
    answers = content(f"{schema}Reply")
    if name != "embedding":
        answers["text/event-stream"] = {
            "schema": {
                "type": "string",
                "description": "With `stream`: a chunk an event, and `[DONE]` at the end. After an"
                " error there is no further event.",
                "x-event-data": {"oneOf": [ref(f"{schema}Reply"), ref(ERROR), {"const": "[DONE]"}]},
            }
        }
    made = operation(name, summary, answers, INFER, traced=True, error=ERROR)
    body = {"required": True, "content": content(f"{schema}Request")}
    return {**made, "parameters": inference_parameters(), "requestBody": body}


def _message() -> Schema:
    parts = array(open_object({"type": STRING}, "type", others=_ANYTHING))
    said: Schema = {"oneOf": [STRING, parts, {"type": "null"}]}
    return open_object({"role": {"enum": sorted(ROLES)}, "content": said}, "role", others=_ANYTHING)


def _passed_on(properties: dict[str, Schema], *required: str, **more: Any) -> Schema:
    return open_object(
        properties,
        *required,
        others=_ANYTHING,
        **more,
        description="As OpenAI has it; what isn't described here is passed on.",
    )


def _or_null(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}
