import asyncio

import pytest

from policies.pii.steps import Steps, at_once, in_turns


def counting(to: int) -> Steps[int]:
    for _ in range(to):
        yield
    return to


def test_steps_are_done_at_once() -> None:
    assert at_once(counting(3)) == 3


async def test_others_have_their_turn_between_steps() -> None:
    turns = []
    task = asyncio.create_task(in_turns(counting(3), lambda: turns.append("step")))
    for _ in range(3):
        await asyncio.sleep(0)
        turns.append("other")
    assert await task == 3
    assert turns[:4] == ["other", "step", "other", "step"]


async def test_work_without_steps_takes_no_turn() -> None:
    async def other() -> None:
        raise AssertionError("had a turn")

    waiting = asyncio.create_task(other())
    assert await in_turns(counting(0), lambda: None) == 0
    waiting.cancel()


async def test_a_check_ends_the_work() -> None:
    def over() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await in_turns(counting(3), over)
