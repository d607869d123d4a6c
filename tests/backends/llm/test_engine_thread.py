"""An engine in its thread: what is asked is done between steps, and nobody waits for ever."""

import queue
import threading
from collections.abc import Callable, Hashable, Iterator
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


class Watched(Engine):
    """Tells whether its steps were to be interrupted, once somebody has done something."""

    asked: "queue.Queue[bool]"
    go_on: threading.Event

    def step(self, now: float, interrupted: Callable[[], bool] | None = None) -> Step:
        if interrupted is not None and self.busy:
            self.asked.put(interrupted())
            self.go_on.wait(PATIENCE)
            self.go_on.clear()
            self.asked.put(interrupted())
        return super().step(now, interrupted)


def test_who_comes_interrupts_a_step_and_who_leaves_does_not(told: "queue.Queue[Any]") -> None:
    whole = engine()
    whole.__class__ = Watched
    whole.asked, whole.go_on = queue.Queue(), threading.Event()  # type: ignore[attr-defined]
    asked, go_on = whole.asked, whole.go_on  # type: ignore[attr-defined]
    thread = EngineThread(whole, lambda step: [told.put(each) for each in step])

    def interrupted(meanwhile: Callable[[], None]) -> bool:
        assert not asked.get(timeout=PATIENCE)
        meanwhile()
        go_on.set()
        found: bool = asked.get(timeout=PATIENCE)
        return found

    thread.add("x", ask("a", 9))
    assert not interrupted(lambda: thread.cancel("over"))
    assert interrupted(lambda: thread.add("y", ask("k", 1)))
    assert not interrupted(lambda: thread.cancel("x"))
    thread.stop(0.0)
    go_on.set()
    thread.stop(PATIENCE)


class Choosy(Engine):
    def add(self, id_: Hashable, ask: Ask) -> None:
        super().add(id_, ask)
        if id_ == "bad":
            raise RuntimeError("nobody expected this")


def test_what_breaks_when_it_is_asked_ends_alone(told: "queue.Queue[Any]") -> None:
    whole = engine()
    whole.__class__ = Choosy
    thread = EngineThread(whole, lambda step: [told.put(each) for each in step])
    with thread._wake:  # all in one step
        thread.add("x", ask("a", 1))
        thread.add("bad", ask("k"))
        thread.add("y", ask("k", 1))
    answers = [told.get(timeout=PATIENCE) for _ in range(3)]
    (error,) = (said for id_, said in answers if id_ == "bad")
    assert error.kind is Kind.INTERNAL
    assert {id_: said.text for id_, said in answers if id_ != "bad"} == {"x": "b", "y": "l"}
    thread.stop(PATIENCE)
    assert whole.scheduler.pool.free == 16


class Resentful(Engine):
    def cancel(self, id_: Hashable) -> None:
        if id_ == "bad":
            raise RuntimeError("nobody expected this")
        super().cancel(id_)


def test_who_can_not_leave_harms_nobody_that_comes_later(told: "queue.Queue[Any]") -> None:
    whole = engine()
    whole.__class__ = Resentful
    thread = EngineThread(whole, lambda step: [told.put(each) for each in step])
    thread.cancel("bad")
    thread.add("y", ask("k", 1))
    told.get(timeout=PATIENCE)
    assert thread.alive
    thread.stop(PATIENCE)
