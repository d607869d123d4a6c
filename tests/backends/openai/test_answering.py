"""The times that a call's parts tell: what it waited, and what has passed since."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from backends.language.parts import Parts
from backends.openai.answering import Answering
from protos import exchange_parts
from protos.values import Chat, Part
from tests.backends.openai.test_forwarder import call, chat

CHUNK = Chat({"choices": []})


class Timed:
    """Stands for a forwarded call whose chunks, and whole answer, come at given times."""

    accepted = True

    def __init__(self, *times: float, streaming: bool = True) -> None:
        self.streaming = streaming
        self.now = 0.0
        self._times = times

    async def chunks(self) -> AsyncGenerator[Chat, None]:
        for self.now in self._times:  # noqa: B020  # what the clock says
            yield CHUNK

    async def answer(self) -> Chat:
        (self.now,) = self._times
        return CHUNK

    async def parts(self, queued: float = 0.0) -> list[Part]:
        found: list[Part] = []

        def take(part: bytes, final: bool) -> None:
            ((_, decoded, _),) = exchange_parts.decode_parts(exchange_parts.reply_frame([part]))
            found.append(decoded)

        asked = call(chat(), streaming=self.streaming)
        await Answering(
            asked,
            self,
            Parts(
                asked,
                take,
                clock=lambda: self.now,
                sharing=lambda: 4,
                queued=lambda elapsed: queued,
                begun=lambda _: None,
            ),
        ).task
        return found


async def test_every_part_of_a_stream_tells_the_time_up_to_itself() -> None:
    async with asyncio.timeout(30):
        parts = await Timed(1.0, 2.0, 5.0).parts()
    assert [part.compute_us for part in parts] == [1_000_000, 2_000_000, 5_000_000, 5_000_000]
    assert {part.batch_rows for part in parts} == {4}


@pytest.mark.parametrize("streaming", [True, False])
async def test_what_was_waited_is_told_apart_from_it(streaming: bool) -> None:
    async with asyncio.timeout(30):
        parts = await Timed(3.0, streaming=streaming).parts(queued=2.0)
    assert {(part.queue_us, part.compute_us) for part in parts} == {(2_000_000, 1_000_000)}
