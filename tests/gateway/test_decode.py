"""Large bodies are read and written in another process, with the same result as in this one."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
import pytest

from gateway.decode import (
    MOST_OBJECTS,
    OPENAI_INLINE,
    OPENAI_MOST_OBJECTS,
    VECTORS_INLINE,
    Decoder,
)
from protos.arrays import to_tensor
from protos.errors import Kind, PenstockError
from protos.openai import request as requests
from protos.openai.embeddings import encode_vectors, encoder_of
from protos.values import Chat, Part, Signature, Tensors, TensorSpec

MIB = 1 << 20
WIDTH = 512
ENCODER = encoder_of(
    Signature(
        "p", (TensorSpec("text", "BYTES", (-1,)),), (TensorSpec("embedding", "FP32", (-1, WIDTH)),)
    )
)
LARGE = VECTORS_INLINE // (4 * WIDTH) + 1  # rows


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(inline=2 * MIB, most=4 * MIB)
    yield decoder
    decoder.close()


def chat(text: str, **more: object) -> bytes:
    return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **more})


def vectors(rows: int) -> Part:
    array = np.random.default_rng(0).random((rows, WIDTH), np.float32)
    return Part(Tensors((to_tensor("embedding", array),)), "1", {}, True)


def asked(rows: int, encoding: str = "float") -> requests.Asked:
    return requests.embedding({"model": "m", "input": ["x"] * rows, "encoding_format": encoding})


async def test_a_large_body_is_read_as_a_small_one_is(decoder: Decoder) -> None:
    for text in ("short", "x" * OPENAI_INLINE):
        body = chat(text, stream=True)
        found = await decoder.openai(body, requests.chat)
        assert (found.model, found.streaming) == ("m", True)
        assert found.payload == Chat(orjson.loads(body), len(body))
        assert found.payload.size == len(body)


TENSOR = b'{"inputs": [{"name": "x", "datatype": "%s", "shape": %s, "data": [%s]}]}'


def tensor(datatype: bytes, shape: object, element: bytes, number: int) -> bytes:
    return TENSOR % (datatype, str(shape).encode(), b",".join([element] * number))


async def test_what_is_many_objects_is_read_elsewhere_however_short_it_is(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere: list[int] = []
    pooled = decoder._elsewhere

    async def noted(decode: Callable[..., Any], body: bytes, *arguments: object) -> Any:
        elsewhere.append(len(body))
        return await pooled(decode, body, *arguments)

    monkeypatch.setattr(decoder, "_elsewhere", noted)
    few, many = MOST_OBJECTS // 2, 2 * MOST_OBJECTS
    for body in (
        tensor(b"FP32", [few, 1], b"[1]", few),
        tensor(b"BYTES", [few], b'"a"', few),
        tensor(b"FP32", [many], b"1.5", many),
    ):
        assert (await decoder.infer(body, None, Signature)).payload.tensors
    await decoder.openai(chat("[" * (OPENAI_MOST_OBJECTS // 2)), requests.chat)
    assert elsewhere == []

    for body in (
        tensor(b"FP32", [many, 1], b"[1]", many),
        tensor(b"BYTES", [many], b'""', many),
    ):
        assert (await decoder.infer(body, None, Signature)).payload.tensors[0].shape[0] == many
    turns = [{"role": "user", "content": "a"}] * OPENAI_MOST_OBJECTS
    body = orjson.dumps({"model": "m", "messages": turns})
    assert (await decoder.openai(body, requests.chat)).model == "m"
    assert len(elsewhere) == 3
    assert max(elsewhere) < OPENAI_INLINE


async def test_ctrl_c_ends_no_process_that_reads_for_the_gateway(decoder: Decoder) -> None:
    body = chat("x" * OPENAI_INLINE)
    await decoder.openai(body, requests.chat)
    readers = [each for each in multiprocessing.active_children() if each.pid is not None]
    assert readers
    for each in readers:
        os.kill(each.pid or 0, signal.SIGINT)
    assert (await decoder.openai(body, requests.chat)).model == "m"


async def test_what_is_wrong_with_a_large_body_is_told_as_well(decoder: Decoder) -> None:
    for text in ("short", "x" * OPENAI_INLINE):
        with pytest.raises(PenstockError) as caught:
            await decoder.openai(chat(text, n=0), requests.chat)
        assert (caught.value.kind, caught.value.param) == (Kind.INVALID, "n")


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_many_vectors_are_written_as_few_are(decoder: Decoder, encoding: str) -> None:
    for rows in (2, LARGE):
        part, wanted = vectors(rows), asked(rows, encoding)
        assert await decoder.vectors(ENCODER, wanted, part) == encode_vectors(ENCODER, wanted, part)


async def test_vectors_that_the_model_got_wrong_are_a_bad_reply(decoder: Decoder) -> None:
    with pytest.raises(PenstockError) as caught:
        await decoder.vectors(ENCODER, asked(LARGE), vectors(LARGE + 1))
    assert caught.value.kind is Kind.BAD_REPLY


async def test_when_too_many_wait_bodies_are_refused_and_answers_are_written_here() -> None:
    full = Decoder(inline=2 * MIB, most=4 * MIB, waiting=0)
    with pytest.raises(PenstockError) as caught:
        await full.openai(chat("x" * OPENAI_INLINE), requests.chat)
    assert caught.value.kind is Kind.OVERLOADED
    assert await full.vectors(ENCODER, asked(LARGE), vectors(LARGE))
    full.close()


async def test_a_body_above_the_bound_is_refused(decoder: Decoder) -> None:
    with pytest.raises(PenstockError, match="at most 4194304 are taken") as caught:
        await decoder.openai(chat("x" * 4 * MIB), requests.chat)
    assert caught.value.kind is Kind.TOO_LARGE
