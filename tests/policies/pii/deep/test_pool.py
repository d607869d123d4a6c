import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from policies.pii.deep.pool import Pool
from policies.pii.deep.settings import Deep
from policies.pii.span import Span
from protos.errors import Kind, PenstockError

READER = (sys.executable, str(Path(__file__).with_name("reader.py")))
JANE = [[Span(0, 4, "PERSON", 0.85)]]


@asynccontextmanager
async def pool(model: str = "any", within: float = 60.0, **changes: int) -> AsyncIterator[Pool]:
    deep = Deep(model=model, **changes).model_copy(update={"timeout": within})
    made = Pool(deep, READER)
    try:
        yield made
    finally:
        await made.stop()


async def test_each_text_has_its_findings_in_code_points() -> None:
    async with pool() as made:
        assert await made.find(["Jane", "nobody", "😀 Jane"]) == [
            *JANE,
            [],
            [Span(2, 6, "PERSON", 0.85)],
        ]
        assert await made.find(["a lone \ud800 and Jane"]) == [[Span(13, 17, "PERSON", 0.85)]]


async def test_requests_are_read_by_all_readers() -> None:
    async with pool(processes=2, waiting=20) as made:
        assert await asyncio.gather(*(made.find(["Jane"]) for _ in range(20))) == [JANE] * 20
        assert len(set(made.pids)) == 2


async def test_a_text_that_a_model_chokes_on_ends_neither_its_reader_nor_is_it_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pool() as made:
        (reader,) = [await made.find(["Jane"]) and made.pids[0]]
        with pytest.raises(PenstockError, match="could not be looked for") as caught:
            await made.find(["odd", "Jane Doe"])
        assert caught.value.kind is Kind.UNAVAILABLE
        assert await made.find(["Jane"]) == JANE
        assert made.pids == [reader]
    assert "KeyError" in caplog.text
    assert "Jane" not in caplog.text


async def test_a_reader_that_answers_nonsense_is_replaced() -> None:
    async with pool() as made:
        with pytest.raises(PenstockError, match="could not be looked for"):
            await made.find(["nonsense"])
        assert await made.find(["Jane"]) == JANE


async def test_long_texts_are_refused_before_they_are_read() -> None:
    async with pool(longest=10) as made:
        with pytest.raises(PenstockError, match="at most 10 characters") as caught:
            await made.find(["secret ", "name"])
        assert caught.value.kind is Kind.TOO_LARGE
        assert "secret" not in caught.value.message


async def test_the_deadline_holds_also_while_a_model_is_loaded() -> None:
    async with pool("slow", within=0.01) as made:
        with pytest.raises(PenstockError, match="took too long") as caught:
            await made.find(["Jane"])
        assert caught.value.kind is Kind.OVERLOADED
        assert "Jane" not in caught.value.message


async def test_more_than_may_wait_are_refused_at_once() -> None:
    async with pool("slow", waiting=1) as made:
        waiting = [asyncio.create_task(made.find(["Jane"])) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(PenstockError, match="too many") as caught:
            await made.find(["Jane"])
        assert caught.value.kind is Kind.OVERLOADED
        for task in waiting:
            task.cancel()


async def test_a_reader_that_dies_refuses_its_request_alone_and_is_replaced() -> None:
    async with pool() as made:
        assert await made.find(["Jane"]) == JANE
        before = made.pids
        with pytest.raises(PenstockError) as caught:
            await made.find(["die"])
        assert caught.value.kind is Kind.UNAVAILABLE
        assert await made.find(["Jane"]) == JANE
        assert made.pids != before


async def test_a_reader_that_hangs_is_replaced() -> None:
    async with pool(within=0.2) as made:
        seen: set[int] = set()
        while len(seen) < 2:  # it is given ten deadlines
            with suppress(PenstockError):
                await made.find(["wait"])
            seen.update(made.pids)


async def test_without_its_model_everything_is_refused() -> None:
    async with pool("none", within=60.0) as made:
        with pytest.raises(PenstockError) as caught:
            await made.find(["Jane"])
        assert caught.value.kind is Kind.UNAVAILABLE


async def test_who_waits_when_the_pool_ends_is_refused_and_no_process_stays() -> None:
    async with pool(processes=2) as made:
        await made.find(["Jane"])
        waiting = [asyncio.create_task(made.find(["wait"])) for _ in range(2)]
        await asyncio.sleep(0)
        pids = made.pids
    for task in waiting:
        with pytest.raises(PenstockError):
            await task
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
