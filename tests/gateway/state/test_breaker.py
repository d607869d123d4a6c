"""When a server is taken for lost, and when it is back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.state.breaker import MOST_STALLED, Breaker

PATIENCE = 30.0  # seconds for a condition, on a busy machine


class Server:
    def __init__(self) -> None:
        self.answers = False
        self.looks = 0

    async def look(self) -> None:
        self.looks += 1
        if not self.answers:
            raise ConnectionError


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def breaker(server: Server) -> AsyncIterator[Breaker]:
    breaker = Breaker("the server", server.look, 0.001)
    yield breaker
    await breaker.close()


async def test_the_first_loss_opens_it_and_an_answer_closes_it(
    server: Server, breaker: Breaker
) -> None:
    breaker.lose("refused")
    breaker.lose("refused")
    assert (breaker.up, breaker.losses) == (False, 1)
    async with asyncio.timeout(PATIENCE):
        while server.looks < 2:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.001)
        assert not breaker.up
        server.answers = True
        while not breaker.up:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert breaker.losses == 1


async def test_who_doesnt_answer_a_loop_that_listens_is_lost(breaker: Breaker) -> None:
    breaker.late(0.05, 100.0, stalled=False)
    assert not breaker.up


async def test_our_own_stalls_say_nothing_of_the_server(breaker: Breaker) -> None:
    for now in (100.0, 100.1, 100.4):
        breaker.late(0.05, now, stalled=True)
    breaker.answered()
    for now in (101.0, 101.4):
        breaker.late(0.05, now, stalled=True)
    assert breaker.up


async def test_if_nothing_but_stalls_happens_the_server_is_lost_after_all(
    breaker: Breaker,
) -> None:
    breaker.late(0.05, 100.0, stalled=True)
    breaker.late(0.05, 100.1 + MOST_STALLED, stalled=True)
    assert not breaker.up
