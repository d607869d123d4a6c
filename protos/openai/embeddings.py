"""`/v1/embeddings` for models that take tensors: texts in, vectors out, as sentence encoders do.

A model fits that takes one BYTES tensor of texts (`[-1]` or `[-1, 1]`, optional ones aside) and
gives FP32 vectors `[-1, n]`: its only such output, or the one with a usual name.
"""

import base64
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from protos.arrays import join_bytes, to_array
from protos.errors import Kind, PenstockError, invalid
from protos.openai.reply import encode_reply
from protos.openai.request import Asked, encoding_of
from protos.values import Embedding, JsonObject, Part, Signature, Tensor, Tensors, TensorSpec

# Outputs that are the embedding where a model gives several FP32 matrices.
USUAL = ("embedding", "embeddings", "sentence_embedding", "sentence_embeddings")


@dataclass(frozen=True, slots=True)
class Encoder:
    """Which tensors of a model are the texts and the vectors."""

    texts: TensorSpec
    vectors: TensorSpec


def encoder_of(signature: Signature) -> Encoder | None:
    """None for a model that is no encoder of texts."""
    needed = [spec for spec in signature.inputs if not spec.optional]
    if len(needed) != 1 or needed[0].datatype != "BYTES" or not _takes_rows(needed[0].shape):
        return None
    found = [spec for spec in signature.outputs if spec.datatype == "FP32" and len(spec.shape) == 2]
    if len(found) > 1:
        found = [spec for spec in found if spec.name in USUAL]
    return Encoder(needed[0], found[0]) if len(found) == 1 else None


def _takes_rows(shape: tuple[int, ...]) -> bool:
    return shape[:1] == (-1,) and shape[1:] in ((), (1,), (-1,))


def to_tensors(encoder: Encoder, body: JsonObject) -> Tensors:
    """The texts of a request whose body was checked.

    Raises INVALID for tokens and for vectors of another length than the model's.
    """
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    if not all(isinstance(text, str) for text in texts):
        raise invalid("input: this model takes texts, not tokens", param="input")
    width = encoder.vectors.shape[1]
    if body.get("dimensions") not in (None, width):
        what = f"this model's vectors have {width}" if width > 0 else "this model takes none"
        raise invalid(f"dimensions: {what}", param="dimensions")
    shape = (len(texts), 1)[: len(encoder.texts.shape)]
    data = join_bytes([text.encode() for text in texts])
    return Tensors((Tensor(encoder.texts.name, "BYTES", shape, data),), (encoder.vectors.name,))


def to_object(encoder: Encoder, asked: JsonObject, part: Part) -> Embedding:
    """The answer in OpenAI's form, numbers as NumPy has them, which orjson writes shortest.

    Such models count no tokens: `usage` says 0.
    Raises PenstockError BAD_REPLY for anything but a vector for each text.
    """
    wanted = 1 if isinstance(asked["input"], str) else len(asked["input"])
    tensor = next((t for t in part.payload.tensors if t.name == encoder.vectors.name), None)
    if tensor is None or len(tensor.shape) != 2 or tensor.shape[0] != wanted:
        raise PenstockError(Kind.BAD_REPLY, f"the model gave no {wanted} vectors")
    vectors = np.ascontiguousarray(to_array(tensor))
    if not np.isfinite(vectors).all():
        raise PenstockError(Kind.BAD_REPLY, "the model gave vectors that are not finite")
    packed = encoding_of(asked) == "base64"
    data: list[dict[str, Any]] = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(row.tobytes()).decode() if packed else row,
        }
        for index, row in enumerate(vectors)
    ]
    body: JsonObject = {
        "object": "list",
        "data": data,
        "model": asked["model"],
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
    return Embedding(body)


def encode_vectors(encoder: Encoder, asked: Asked, part: Part) -> bytes:
    """The answer as bytes. Raises BAD_REPLY as `to_object` does."""
    return encode_reply(asked, replace(part, payload=to_object(encoder, asked.payload.body, part)))
