"""Pages share what the record store answers, and don't wait for one that hangs."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import OperationalError

from gateway.console.answers import FRESH, Answers

PATIENCE = 30.0  # seconds


class Store:
    """Counts what it is asked, and answers once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may = threading.Event()
        self.failure: Exception | None = None

    def question(self) -> int:
        self.asked += 1
        self.may.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        return self.asked


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.may.set()


async def test_all_who_ask_at_once_share_one_question(store: Store):
    answers = Answers(patience=PATIENCE)
    asking = [asyncio.create_task(answers.ask("usage", store.question)) for _ in range(12)]
    await asyncio.sleep(0)
    store.may.set()
    assert await asyncio.gather(*asking) == [1] * 12


async def test_an_answer_is_given_again_for_a_moment(store: Store):
    now = 0.0
    answers = Answers(patience=PATIENCE, clock=lambda: now)
    store.may.set()
    assert await answers.ask("usage", store.question) == 1
    now = FRESH
    assert await answers.ask("usage", store.question) == 1
    assert await answers.ask("mirrored", store.question) == 2
    now = FRESH + 0.1
    assert await answers.ask("usage", store.question) == 3


async def test_what_is_known_to_have_changed_is_asked_for_again(store: Store):
    answers = Answers(patience=PATIENCE)
    store.may.set()
    assert await answers.ask("rollouts", store.question) == 1
    answers.forget("rollouts")
    assert await answers.ask("rollouts", store.question) == 2


async def test_a_store_that_hangs_is_asked_once_and_takes_nobodys_thread(store: Store):
    answers = Answers(patience=0.01)
    for _ in range(20):
        told = await answers.ask("usage", store.question)
        assert told == "The record store hasn’t answered for 0.01 s."
    assert store.asked == 1
    assert await asyncio.to_thread(lambda: "a body") == "a body"


async def test_a_store_that_hung_is_heard_when_it_answers(store: Store):
    answers = Answers(patience=0.01)
    await answers.ask("usage", store.question)
    store.may.set()
    async with asyncio.timeout(PATIENCE):
        while await answers.ask("usage", store.question) != 1:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_who_goes_away_leaves_the_others_their_answer(store: Store):
    answers = Answers(patience=PATIENCE)
    gone, left = (asyncio.create_task(answers.ask("usage", store.question)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    store.may.set()
    assert await left == 1


async def test_a_store_that_fails_is_told_in_a_sentence_without_its_text(store: Store):
    store.may.set()
    store.failure = OperationalError("select secret", None, Exception("secret"))
    told = await Answers(patience=PATIENCE).ask("usage", store.question)
    assert told == "The record store doesn’t answer (OperationalError)."


async def test_what_is_unforeseen_is_raised(store: Store):
    store.may.set()
    store.failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await Answers(patience=PATIENCE).ask("usage", store.question)
