import asyncio
import io

import pytest

from policies.pii.deep.frames import LONGEST, frame, read, read_blocking


def test_values_come_back_one_by_one_until_the_other_end_is_gone() -> None:
    stream = io.BytesIO(frame(["ä"]) + frame({}))
    assert [read_blocking(stream), read_blocking(stream), read_blocking(stream)] == [
        ["ä"],
        {},
        None,
    ]


def test_half_a_value_is_none() -> None:
    assert read_blocking(io.BytesIO(frame(["abc"])[:-1])) is None


async def test_a_gateway_reads_the_same() -> None:
    stream = asyncio.StreamReader()
    stream.feed_data(frame([1, "x"]))
    stream.feed_eof()
    assert await read(stream) == [1, "x"]
    with pytest.raises(EOFError):
        await read(stream)


async def test_too_long_a_value_is_refused_before_it_is_read() -> None:
    stream = asyncio.StreamReader()
    stream.feed_data((LONGEST + 1).to_bytes(4, "big"))
    with pytest.raises(ValueError, match="too long"):
        await read(stream)
