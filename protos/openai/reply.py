"""Replies of OpenAI's API as bytes: whole answers, and chunks as Server-Sent Events."""

from typing import Any

import orjson

from protos import sse
from protos.errors import Kind, PenstockError
from protos.openai.errors import encode_error
from protos.openai.request import Asked
from protos.values import JsonObject, OpenAi, Part

DONE = sse.encode(b"[DONE]")


def encode_reply(asked: Asked, part: Part) -> bytes:
    """The whole answer, in the name of the model that was asked for.

    Raises PenstockError BAD_REPLY for an answer to something else.
    """
    body = {**_body(asked, part), "model": asked.model}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_event(asked: Asked, part: Part) -> bytes:
    """A chunk as an event, without what it took unless that was asked for.

    Empty for a part that has nothing for the client: the last one of a stream, or a chunk that only
    told what it took. Raises PenstockError BAD_REPLY for a chunk of something else.
    """
    if not isinstance(part.payload, OpenAi) and part.final and not part.payload.tensors:
        return b""
    body: dict[str, Any] = {**_body(asked, part), "model": asked.model}
    if not asked.usage and "usage" in body:
        took = body.pop("usage")
        if took and not body.get("choices"):
            return b""
    return sse.encode(orjson.dumps(body))


def error_event(error: PenstockError) -> bytes:
    """The last event of a stream that fails midway: its status has long been sent."""
    return sse.encode(encode_error(error))


def _body(asked: Asked, part: Part) -> JsonObject:
    payload = part.payload
    if not isinstance(payload, type(asked.payload)):
        raise PenstockError(Kind.BAD_REPLY, "the model answered something else than it was asked")
    return payload.body
