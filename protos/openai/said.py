"""What a model said, as tensors: so that answers of OpenAI's API are compared like any others.

Texts are BYTES of one element, named after where they stand (`choices[0].content`), the same in a
whole answer and in the chunks of a streamed one; embeddings are the rows of one FP32 tensor.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from protos.arrays import join_bytes, to_tensor
from protos.datatypes import Array
from protos.errors import invalid
from protos.values import Embedding, JsonObject, OpenAi, Payload, Tensor

# Where a message, or a chunk's part of one, has text.
FIELDS = ("content", "refusal", "reasoning_content", "reasoning")


def outputs_of(payload: Payload) -> tuple[Tensor, ...]:
    """The tensors of a reply or, of one in OpenAI's form, what it says. Raises INVALID."""
    if not isinstance(payload, OpenAi):
        return payload.tensors
    if isinstance(payload, Embedding):
        return _embeddings(payload.body)
    return tuple([_text(name, text) for name, text in texts_of(payload.body)])


def texts_of(body: JsonObject) -> Iterator[tuple[str, str]]:
    """The texts of all choices, none of them empty, each with the name of its place."""
    for choice in _objects(body.get("choices")):
        place = f"choices[{choice.get('index', 0)}]"
        if text := _string(choice.get("text")):
            yield f"{place}.text", text
        message = choice.get("message") or choice.get("delta")
        if not isinstance(message, Mapping):
            continue
        for field in FIELDS:
            if text := _string(message.get(field)):
                yield f"{place}.{field}", text
        for at, call in enumerate(_objects(message.get("tool_calls"))):
            function = call.get("function")
            if not isinstance(function, Mapping):
                continue
            for field in ("name", "arguments"):
                if text := _string(function.get(field)):
                    yield f"{place}.tool_calls[{call.get('index', at)}].{field}", text


def vector(value: object) -> Array:
    """An embedding as float32, from either of its encodings; raises INVALID for anything else."""
    try:
        if isinstance(value, str):
            return np.frombuffer(base64.b64decode(value, validate=True), "<f4")
        found = np.array(value, np.float32)
    except (binascii.Error, ValueError, TypeError):
        raise invalid("the embedding is neither numbers nor base64 of them") from None
    if found.ndim != 1:
        raise invalid("the embedding isn't a list of numbers")
    return found


def _embeddings(body: JsonObject) -> tuple[Tensor, ...]:
    rows = [vector(each.get("embedding")) for each in _objects(body.get("data"))]
    if len({len(row) for row in rows}) > 1:
        raise invalid("the embeddings have different lengths")
    return (to_tensor("embedding", np.stack(rows)),) if rows else ()


def _text(name: str, text: str) -> Tensor:
    return Tensor(name, "BYTES", (1,), join_bytes([text.encode()]))


def _objects(value: Any) -> Iterator[JsonObject]:
    return (
        (each for each in value if isinstance(each, Mapping))
        if isinstance(value, list)
        else iter(())
    )


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
