"""Requests to OpenAI's API, by the first byte: a chat, a completion, or texts to embed.

What is taken travels to backends as it is; every text in it is found, and looking at the texts, or
writing them as they are, changes nothing.
"""

import orjson

from protos.exchange_calls import decode_requests
from protos.exchange_objects import IN_CALL, add_object
from protos.exchange_wire import varint
from protos.json_reader import read_object
from protos.openai import request
from protos.openai.embeddings import Encoder, to_tensors
from protos.text import rewriting
from protos.values import Payload, TensorSpec
from tests.fuzz.refusing import refusing

READERS = (request.chat, request.prompt, request.embedding)
ENCODER = Encoder(TensorSpec("text", "BYTES", (-1, 1)), TensorSpec("vector", "FP32", (-1, 4)))


def one(data: bytes) -> None:
    read = READERS[data[0] % len(READERS)] if data else request.chat
    body = data[1:]
    with refusing():
        payload = read(read_object(body), len(body)).payload
        assert _rewritten(payload) is payload
        assert orjson.dumps(_arrived(payload)) == orjson.dumps(payload.body)
        if read is request.embedding:
            to_tensors(ENCODER, payload.body)


def _rewritten(payload: Payload) -> Payload:
    walk = rewriting(payload)
    written = None
    try:
        while True:
            found = walk.send(written)
            written = None if found is None else found.text
    except StopIteration as end:
        made: Payload = end.value
        return made


def _arrived(payload: request.Chat | request.Prompt | request.Embedding) -> object:
    pieces: list[bytes] = []
    add_object(pieces, IN_CALL, payload)
    call = b"".join(pieces)
    (arrived,) = decode_requests(b"\x0a" + varint(len(call)) + call).calls
    assert not isinstance(arrived, tuple)
    assert arrived.openai is not None
    return arrived.openai.body
