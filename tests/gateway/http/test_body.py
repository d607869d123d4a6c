import asyncio
import gzip
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive

from gateway.http.body import RATIO_FLOOR, read_body, unpack, unpacks_to
from protos.errors import Kind, PenstockError

GZIP, DEFLATE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS


def arriving(*pieces: bytes) -> Receive:
    """A receive channel on which the pieces come one by one, then the disconnect."""
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]
    messages.append({"type": "http.disconnect"})

    async def receive() -> Message:
        await asyncio.sleep(0)
        return messages.pop(0)

    return receive


def headers(**fields: str) -> dict[str, Any]:
    return {
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()
        ]
    }


async def refused(kind: Kind, scope: dict[str, Any], *pieces: bytes, limit: int = 100) -> str:
    with pytest.raises(PenstockError) as caught:
        await read_body(scope, arriving(*pieces), limit)
    assert caught.value.kind is kind
    return caught.value.message


@pytest.mark.parametrize("pieces", [(b"",), (b"abc",), (b"a", b"", b"bc"), (b"x" * 100,)])
async def test_the_pieces_make_one_body(pieces: Sequence[bytes]) -> None:
    assert await read_body(headers(), arriving(*pieces), 100) == b"".join(pieces)


@pytest.mark.parametrize("pieces", [(b"x" * 101,), (b"x" * 60, b"x" * 60, b"x" * 60)])
async def test_a_body_over_the_limit_is_refused(pieces: Sequence[bytes]) -> None:
    message = await refused(Kind.TOO_LARGE, headers(), *pieces)
    assert message == "the body has more than 100 bytes"


async def test_a_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    async def receive() -> Message:
        raise AssertionError("nothing may be read")

    with pytest.raises(PenstockError, match="more than 100 bytes"):
        await read_body(headers(content_length="101"), receive, 100)


async def test_a_client_that_goes_away_cancels() -> None:
    receive = arriving(b"a", b"b")
    await receive()
    await receive()
    with pytest.raises(PenstockError) as caught:
        await read_body(headers(), receive, 100)
    assert caught.value.kind is Kind.CANCELLED


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "application/octet-stream",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "",
    ],
)
async def test_json_binary_and_no_type_are_read(value: str) -> None:
    assert await read_body(headers(content_type=value), arriving(b"{}"), 100) == b"{}"


@pytest.mark.parametrize(
    "value",
    [
        "text/plain",
        "application/jsonx",
        "application/json; charset=utf-16",
        "multipart/form-data; boundary=application/json",
    ],
)
async def test_other_types_are_refused(value: str) -> None:
    await refused(Kind.UNSUPPORTED_MEDIA, headers(content_type=value), b"{}")


@pytest.mark.parametrize("value", ["br", "zstd", "gzip, gzip", "gzip,deflate", "compress", ""])
async def test_other_encodings_are_refused(value: str) -> None:
    await refused(Kind.UNSUPPORTED_MEDIA, headers(content_encoding=value), b"{}")


async def test_two_types_or_encodings_are_refused() -> None:
    for name in (b"content-type", b"content-encoding"):
        value = b"application/json" if name == b"content-type" else b"identity"
        await refused(Kind.INVALID, {"headers": [(name, value), (name, value)]}, b"{}")


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("identity", b"tensor " * 10),
        ("gzip", gzip.compress(b"tensor " * 10, mtime=0)),
        ("x-gzip", gzip.compress(b"tensor " * 10, mtime=0)),
        ("GZIP", gzip.compress(b"tensor " * 10, mtime=0)),
        ("deflate", zlib.compress(b"tensor " * 10)),
    ],
)
async def test_compressed_bodies_are_unpacked(encoding: str, packed: bytes) -> None:
    scope = headers(content_encoding=encoding)
    assert await read_body(scope, arriving(packed[:5], packed[5:]), 100) == b"tensor " * 10


async def test_large_compressed_bodies_are_unpacked_off_the_loop() -> None:
    body = bytes(range(256)) * 400
    packed = gzip.compress(body, 0, mtime=0)
    assert await read_body(headers(content_encoding="gzip"), arriving(packed), 1 << 20) == body


async def test_what_unpacks_beyond_the_limit_is_refused() -> None:
    packed = gzip.compress(b"x" * 101, mtime=0)
    await refused(Kind.TOO_LARGE, headers(content_encoding="gzip"), packed)


def test_gzip_is_unpacked_to_no_more_than_it_says() -> None:
    packed = gzip.compress(bytes(5000), mtime=0)
    assert unpacks_to(packed, GZIP, 1 << 20) == 5000
    with pytest.raises(PenstockError, match="not one complete compressed stream"):
        unpack(packed[:-4] + (10).to_bytes(4, "little"), GZIP, 1 << 20)


def test_a_bomb_is_refused_without_unpacking_it() -> None:
    bomb = zlib.compress(bytes(64 << 20), 9)
    with pytest.raises(PenstockError, match="more than 200 times its size") as caught:
        unpack(bomb, DEFLATE, 1 << 30)
    assert caught.value.kind is Kind.TOO_LARGE
    assert len(unpack(zlib.compress(bytes(RATIO_FLOOR), 9), DEFLATE, 1 << 30)) == RATIO_FLOOR


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"not gzip",
        gzip.compress(b"abc", mtime=0)[:-1],
        gzip.compress(b"abc", mtime=0) + b"x",
        gzip.compress(b"abc", mtime=0) * 2,
        zlib.compress(b"abc"),
        gzip.compress(b"abc", mtime=0)[:-8] + bytes(8),
    ],
    ids=range(7),
)
async def test_anything_but_one_complete_stream_is_refused(packed: bytes) -> None:
    await refused(Kind.INVALID, headers(content_encoding="gzip"), packed)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=5000), st.integers(0, 9), st.sampled_from([GZIP, DEFLATE]))
def test_what_was_packed_comes_out(body: bytes, level: int, window_bits: int) -> None:
    packer = zlib.compressobj(level, wbits=window_bits)
    assert unpack(packer.compress(body) + packer.flush(), window_bits, 5000) == body


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.sampled_from([GZIP, DEFLATE]))
def test_rubbish_is_refused_and_never_more(packed: bytes, window_bits: int) -> None:
    with pytest.raises(PenstockError):
        unpack(packed + b"x", window_bits, 100)
