"""An engine in its thread: what is asked is done between steps, and nobody waits for ever."""

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backends.llm.choice import Said
from backends.llm.engine import Ask, Engine, Step
from backends.llm.engine_thread import EngineThread
from protos.errors import Kind, PenstockError
from tests.backends.llm.counting_model import GREEDY, ask, engine

PATIENCE = 30.0


class Broken(Engine):
    def step(self, now: float, interrupted: Callable[[], bool] | None = None) -> Step:
        raise RuntimeError("nobody expected this")


@pytest.fixture
def told() -> "queue.Queue[Any]":
    return queue.Queue()


@pytest.fixture
def thread(told: "queue.Queue[Any]") -> Iterator[EngineThread]:
    found = EngineThread(engine(), lambda step: [told.put(each) for each in step])
    yield found
    found.stop(PATIENCE)
    assert not found.alive


def test_who_asks_is_answered(thread: EngineThread, told: "queue.Queue[Any]") -> None:
    thread.add("x", ask("a", 2))
    pieces = [told.get(timeout=PATIENCE) for _ in range(2)]
    assert [(id_, said.text) for id_, said in pieces] == [("x", "b"), ("x", "c")]
    thread.add("y", ask("k", 1))
    assert told.get(timeout=PATIENCE)[1].text == "l"
    assert thread.stuck() == 0.0


def test_what_the_engine_refuses_is_told(thread: EngineThread, told: "queue.Queue[Any]") -> None:
    thread.add("x", Ask([], 1, GREEDY))
    id_, error = told.get(timeout=PATIENCE)
    assert (id_, error.kind) == ("x", Kind.INVALID)


def test_who_leaves_before_the_first_step_is_never_answered(
    thread: EngineThread, told: "queue.Queue[Any]"
) -> None:
    with thread._wake:  # nothing begins meanwhile
        thread.add("x", ask("a", 9))
        thread.cancel("x")
        thread.add("y", ask("a", 1))
    assert told.get(timeout=PATIENCE)[0] == "y"


def test_a_broken_engine_tells_everybody_and_goes_on(told: "queue.Queue[Any]") -> None:
    whole = engine()
    whole.__class__ = Broken
    thread = EngineThread(whole, lambda step: [told.put(each) for each in step])
    thread.add("x", ask())
    _, error = told.get(timeout=PATIENCE)
    assert isinstance(error, PenstockError)
    assert error.kind is Kind.INTERNAL
    whole.__class__ = Engine
    thread.add("y", ask("a", 1))
    id_, said = told.get(timeout=PATIENCE)
    assert isinstance(said, Said)
    assert id_ == "y"
    thread.stop(PATIENCE)
