"""What a gateway and its readers say to each other over pipes: JSON behind its length."""

import asyncio
import struct
from typing import Any, BinaryIO

import orjson

_LENGTH = struct.Struct(">I")
LONGEST = 16 << 20  # bytes


def frame(value: Any) -> bytes:
    """The bytes to write."""
    raw = orjson.dumps(value)
    return _LENGTH.pack(len(raw)) + raw


async def read(stream: asyncio.StreamReader) -> Any:
    """The next value. Raises EOFError where the other end is gone, ValueError for what is none."""
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    if length > LONGEST:
        raise ValueError("a frame that is too long")
    return orjson.loads(await stream.readexactly(length))


def read_blocking(stream: BinaryIO) -> Any | None:
    """The next value; None where the other end is gone."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    raw = stream.read(length)
    return orjson.loads(raw) if len(raw) == length else None
