"""How long a call may take, and whose fault it is when that is over."""

import asyncio

import pytest

from gateway.state.patience import Patience
from tests.gateway.state.busy_loop import STALL, busy_loop


async def test_what_ends_in_time_is_left_alone() -> None:
    async with Patience(30.0) as patience:
        await asyncio.sleep(0)
    assert not patience.stalled


async def test_a_busy_loop_of_our_own_tells_that_it_was_busy() -> None:
    patience = Patience(STALL)
    with busy_loop(), pytest.raises(TimeoutError):
        async with patience:
            await asyncio.Event().wait()
    assert patience.stalled


async def test_a_cancelled_call_is_no_late_one() -> None:
    async def call() -> None:
        async with Patience(30.0):
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
