"""Calls on their way to an engine: what takes long waits by itself, who leaves frees everything."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.llm.entry import Options
from backends.llm.worker import LlmWorker
from protos import exchange_parts
from protos.errors import Kind, PenstockError
from protos.exchange_calls import Call
from protos.values import OpenAi, Part, Prompt
from tests.backends.llm import tiny_models

PATIENCE = 30.0


class Caller:
    """Asks, and keeps what it is answered."""

    def __init__(self, worker: LlmWorker, body: dict[str, Any], model: str = "base") -> None:
        self.parts: list[Part | PenstockError] = []
        self.over = asyncio.Event()
        call = Call(
            version="",
            request_id="",
            inputs={},
            datatypes={},
            parameters={},
            tenant="",
            traceparent="",
            priority=0,
            shadow=False,
            suspect=False,
            remaining_us=0,
            id=7,
            model=model,
            wanted=(),
            streaming=False,
            openai=Prompt({"temperature": 0, "ignore_eos": True, **body}),
        )
        (self.taken,) = worker.take([(call, self._answer)])
        self.refused = isinstance(self.taken, PenstockError)

    def _answer(self, part: bytes, final: bool) -> None:
        ((_, decoded, _),) = exchange_parts.decode_parts(exchange_parts.reply_frame([part]))
        self.parts.append(decoded)
        if final:
            self.over.set()

    async def text(self) -> str:
        await asyncio.wait_for(self.over.wait(), PATIENCE)
        (part,) = self.parts
        assert isinstance(part, Part), part
        assert isinstance(part.payload, OpenAi)
        text: str = part.payload.body["choices"][0]["text"]
        return text


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("models")
    tiny_models.write(folder / "base")
    model = tiny_models.reference(folder / "base")
    for seed, name in enumerate(("one", "two")):
        tiny_models.write_adapter(folder / "base" / "adapters" / name, model, seed=seed)
    return folder


@pytest.fixture
async def worker(root: Path) -> AsyncIterator[LlmWorker]:
    options = Options(memory=1 << 20, block=4)
    found = LlmWorker(root, options, asyncio.get_running_loop(), most=4)
    tiny_models.serve(found.models)
    yield found
    found.close()


async def until(what: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not what():  # noqa: ASYNC110 (other threads make it so)
            await asyncio.sleep(0.001)


def hold(worker: LlmWorker, until: threading.Event) -> None:
    """All threads that read are busy."""

    def wait() -> list[list[int]]:
        until.wait(PATIENCE)
        return []

    for readers in (worker._texts, worker._texts, worker._adapters):
        readers.submit("somebody", wait)


async def test_who_leaves_frees_the_blocks_within_two_steps(worker: LlmWorker) -> None:
    (thread,) = worker.models.threads()
    engine = worker.models.get("base", "").engine
    assert engine is not None
    pool = engine.scheduler.pool
    caller = Caller(worker, {"prompt": "one two", "max_tokens": 400})
    before = thread.steps
    await until(lambda: thread.steps > before + 3)
    assert pool.use > 0.0
    left = thread.steps
    caller.taken.cancel()
    await until(lambda: pool.use == 0.0 and not engine.busy)
    assert thread.steps - left <= 2
    assert worker.in_flight == 0


async def test_nobody_waits_for_a_long_text_to_be_read(worker: LlmWorker) -> None:
    open_ = threading.Event()
    hold(worker, open_)
    long = Caller(worker, {"prompt": "x" * 9000, "max_tokens": 1})
    assert await Caller(worker, {"prompt": "one two", "max_tokens": 2}).text()
    assert worker.in_flight == 1
    assert long.parts == []
    open_.set()
    await asyncio.wait_for(long.over.wait(), PATIENCE)
    (refusal,) = long.parts
    assert isinstance(refusal, PenstockError)
    assert (refusal.kind, refusal.code) == (Kind.INVALID, "context_length_exceeded")
    assert worker.in_flight == 0


async def test_who_leaves_before_the_text_is_read_is_never_answered(worker: LlmWorker) -> None:
    open_ = threading.Event()
    hold(worker, open_)
    long = Caller(worker, {"prompt": "x" * 9000, "max_tokens": 1})
    long.taken.cancel()
    assert worker.in_flight == 0
    open_.set()
    assert await Caller(worker, {"prompt": "one", "max_tokens": 2}).text()
    assert long.parts == []


async def test_what_was_asked_by_who_left_is_never_read(
    worker: LlmWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def keep(_: object, payload: OpenAi, longest: int) -> list[list[int]]:
        read.append(len(payload.body["prompt"]))
        return [[5]]

    monkeypatch.setattr("backends.llm.taking.prompts_of", keep)
    open_ = threading.Event()
    hold(worker, open_)
    for _ in range(3):
        Caller(worker, {"prompt": "x" * 9000, "max_tokens": 1}).taken.cancel()
    stayed = Caller(worker, {"prompt": "x" * 9001, "max_tokens": 1})
    open_.set()
    await stayed.text()
    assert read == [9001]


async def test_an_adapter_is_read_before_its_first_step(worker: LlmWorker) -> None:
    entry = worker.models.get("base:one", "")
    assert entry.loaded is not None
    assert entry.loaded.adapters.here == []
    first = await Caller(worker, {"prompt": "one two", "max_tokens": 4}, "base:one").text()
    assert entry.loaded.adapters.here == [entry.adapter]
    again = Caller(worker, {"prompt": "one two", "max_tokens": 4}, "base:one")
    assert worker._preparing == {}
    assert await again.text() == first


async def test_an_adapter_that_is_gone_ends_its_own_calls(
    worker: LlmWorker, root: Path, tmp_path: Path
) -> None:
    (root / "base" / "adapters" / "two").rename(tmp_path / "two")
    caller = Caller(worker, {"prompt": "one", "max_tokens": 4}, "base:two")
    await asyncio.wait_for(caller.over.wait(), PATIENCE)
    (refusal,) = caller.parts
    assert isinstance(refusal, PenstockError)
    assert refusal.kind is Kind.UNAVAILABLE
    assert await Caller(worker, {"prompt": "one", "max_tokens": 2}).text()


async def test_more_than_may_be_under_way_are_refused(worker: LlmWorker) -> None:
    callers = [Caller(worker, {"prompt": "one", "max_tokens": 9}) for _ in range(5)]
    assert [caller.refused for caller in callers] == [False] * 4 + [True]
    for caller in callers[:4]:
        assert await caller.text()


async def test_who_asked_a_model_that_is_exchanged_is_answered_by_it(
    worker: LlmWorker, root: Path
) -> None:
    models = worker.models
    question = {"prompt": "one two", "max_tokens": 8}
    before = await Caller(worker, question, "base:one").text()
    old = models.get("base", "").thread
    open_ = threading.Event()
    hold(worker, open_)
    models.get("base:one", "").loaded.adapters._here.clear()  # type: ignore[union-attr]
    caller = Caller(worker, question, "base:one")  # has to wait for its adapter
    tiny_models.write(root / "base", seed=1)
    await asyncio.to_thread(tiny_models.serve, models)
    assert models.get("base", "").thread is not old
    assert await Caller(worker, question).text() != before
    assert models.drained(worker.asks) == []
    open_.set()
    assert await caller.text() == before
    (leaving,) = models.drained(worker.asks)
    models.end(leaving)
    tiny_models.write(root / "base")


async def test_answers_of_a_tenant_are_bounded_however_few_its_calls(worker: LlmWorker) -> None:
    first = Caller(worker, {"prompt": "one", "max_tokens": 400, "n": 6})
    assert not first.refused
    second = Caller(worker, {"prompt": "two", "max_tokens": 1})
    assert isinstance(second.taken, PenstockError)
    assert second.taken.kind is Kind.OVERLOADED
    first.taken.cancel()
    again = Caller(worker, {"prompt": "two", "max_tokens": 1, "n": 4})
    await again.text()
