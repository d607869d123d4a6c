"""Callers that ask questions: what they count, and when they give up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.tour import load
from gateway.tour.load import Load, Question, Seen, question
from protos.errors import PenstockError

Speaks = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(speaks: Speaks) -> AsyncIterator[tuple[str, int]]:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speaks(reader, writer)
        except EOFError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(meet, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()


async def heard(reader: asyncio.StreamReader) -> bytes:
    """The body of the next question."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(line for line in head.split("\r\n") if line.startswith("content-length"))
    return await reader.readexactly(int(length.split(": ")[1]))


def answer(body: bytes, status: int = 200) -> bytes:
    head = (
        f"HTTP/1.1 {status} So\r\nX-Penstock-Arm: r/stable\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def questions(count: int) -> list[Question]:
    return [question("here", "/ask", "", b"%d" % index) for index in range(count)]


async def echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        body = await heard(reader)
        writer.write(answer(body, 503 if body == b"3" else 200))


async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await heard(reader)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_PAUSE", 0.0)


async def test_each_question_is_asked_once_and_good_answers_are_kept_by_it():
    async with server(echoes) as address:
        seen = await Load(address, questions(9), callers=3, once=True).run()
    assert seen.bodies == {index: b"%d" % index for index in range(9) if index != 3}
    assert (seen.answered, seen.failed) == (8, 1)
    assert seen.arms == {"r/stable": 9}
    assert seen.rate > 0.0


async def test_a_load_without_end_ends_when_it_is_stopped():
    async with server(echoes) as address:
        load = Load(address, questions(2), callers=2, once=False)
        running = asyncio.create_task(load.run())
        while load.seen.answered < 5:  # noqa: ASYNC110 (more than there are questions)
            await asyncio.sleep(0.01)
        load.stop()
        assert (await running).failed == 0


async def test_connections_that_break_now_and_then_are_counted_and_made_again():
    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(answer(await heard(reader)))
        await heard(reader)

    async with server(breaks) as address:
        seen = await Load(address, questions(300), callers=1, once=True).run()
    assert seen.codes == {200: 200, 0: 100}


@pytest.mark.parametrize("once", [True, False])
async def test_a_load_gives_up_where_nobody_listens(once: bool):
    async with server(echoes) as address:
        pass
    with pytest.raises(PenstockError, match=r"nobody answers any more at 127\.0\.0\.1:\d+"):
        await Load(address, questions(1000), callers=2, once=once).run()


async def test_a_load_gives_up_where_nobody_answers():
    async with server(refuses) as address:
        with pytest.raises(PenstockError, match="nobody answers any more"):
            await Load(address, questions(1000), callers=2, once=True).run()


def test_quantiles_are_milliseconds_of_single_answers_and_none_without_answers():
    seen = Seen(seconds=[0.4, 0.1, 0.2, 0.3])
    assert [seen.quantile(share) for share in (0.0, 0.5, 1.0)] == [100.0, 300.0, 400.0]
    assert Seen().quantile(0.5) == 0.0
