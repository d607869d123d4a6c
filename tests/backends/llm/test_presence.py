"""What a beat tells of the models: what is kept of prompts, what engines have done."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.host import Identity
from backends.llm.entry import Options
from backends.llm.presence import Presence
from backends.llm.worker import LlmWorker
from protos import discovery_pb2 as pb
from protos.prefixes import NONE, Prefixes, prefixes_of
from protos.values import Prompt
from routing.kept import Kept
from tests.backends.llm import tiny_models
from tests.backends.llm.test_worker import Caller

TEXT = "The gate in front of the turbine lets in as much water as the turbine takes. " * 3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("models")
    tiny_models.write(folder / "base")
    model = tiny_models.reference(folder / "base")
    tiny_models.write_adapter(folder / "base" / "adapters" / "one", model, seed=1)
    return folder


@pytest.fixture
async def worker(root: Path) -> AsyncIterator[LlmWorker]:
    # Room for some 500 tokens.
    options = Options(memory=512 * 256, block=4)
    found = LlmWorker(root, options, asyncio.get_running_loop(), most=8)
    tiny_models.serve(found.models)
    yield found
    found.close()


def load_of(worker: LlmWorker) -> pb.Load:
    identity = Identity("one", 1, "127.0.0.1:1", "key")
    return Presence(identity, worker, device="cpu").beat(False).load


def kept(worker: LlmWorker) -> Kept:
    """What a gateway knows after a beat."""
    found = Kept("key")
    found.update(load_of(worker), 0.0)
    return found


def beginnings(text: str, model: str = "base") -> Prefixes:
    return prefixes_of(Prompt({"prompt": text}), "", model)


async def ask(worker: LlmWorker, prompt: str, model: str = "base") -> None:
    await Caller(worker, {"prompt": prompt, "max_tokens": 3}, model).text()


async def test_gateways_hear_which_beginnings_are_cached(worker: LlmWorker) -> None:
    assert kept(worker).reach(beginnings(TEXT)) == 0
    await ask(worker, TEXT)
    whole = beginnings(TEXT)
    assert kept(worker).reach(whole) == whole.ends[-1]
    assert kept(worker).saves("base", whole) > 0.0
    assert kept(worker).reach(beginnings("Another text. " * 20)) == 0
    assert kept(worker).reach(beginnings(TEXT, "base:one")) == 0


async def test_a_beginning_is_not_told_once_its_blocks_are_taken(worker: LlmWorker) -> None:
    await ask(worker, TEXT)
    for number in range(12):
        await ask(worker, f"{number} " + TEXT[::-1])
    assert kept(worker).reach(beginnings(TEXT)) == 0
    last = beginnings("11 " + TEXT[::-1])
    assert kept(worker).reach(last) == last.ends[-1]


async def test_counts_are_told_by_model_and_adapter(worker: LlmWorker) -> None:
    await ask(worker, TEXT)
    await ask(worker, TEXT)
    await ask(worker, "one two", "base:one")
    load = load_of(worker)
    (told,) = load.language
    assert told.model == "base"
    assert dict(told.generated_tokens) == {"": 6, "one": 3}
    assert told.cached_tokens > 0
    assert told.prompt_tokens > told.cached_tokens
    assert list(told.adapters) == list(load.adapters) == ["base:one"]
    assert load.adapter_seconds > 0.0
    found = Kept("key")
    found.update(load, 0.0)
    assert found.saves("base:one", NONE) == load.adapter_seconds
