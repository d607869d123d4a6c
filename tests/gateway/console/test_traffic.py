"""Traffic is drawn once for each sample, however many people look."""

import asyncio

from gateway.console.samples import MOST_SERIES, Key
from gateway.console.traffic import Traffic
from tests.gateway.console.traffic_counters import STABLE, Counters


async def test_all_who_look_between_two_samples_are_shown_the_same_drawing():
    counters = Counters()
    counters.take()
    traffic = Traffic(counters.history)
    counters.add(10)
    counters.tick()
    first, same = await asyncio.gather(traffic.parts(), traffic.parts())
    assert same is first
    counters.add(990)  # counted, but not sampled yet
    assert await traffic.parts() is first
    counters.tick()
    assert await traffic.parts() is not first
    assert STABLE.route in (await traffic.parts())[1]


async def test_nothing_is_drawn_of_nobody():
    counters = Counters()
    counters.take()
    assert "No requests in the last ten minutes." in (await Traffic(counters.history).parts())[1]


async def test_drawing_lets_others_have_their_turn():
    counters = Counters()
    counters.take()
    for index in range(MOST_SERIES):
        counters.add(1, Key(f"route{index}", "arm", "model"))
    counters.tick()
    drawing = asyncio.create_task(Traffic(counters.history).parts())
    turns = 0
    while not drawing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    assert "route199" in drawing.result()[1]
    assert f"The {MOST_SERIES} busiest" in drawing.result()[1]
