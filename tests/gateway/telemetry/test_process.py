"""What a process says of itself, and how late its event loop runs."""

import asyncio
from types import SimpleNamespace

from gateway.metrics import Totals
from gateway.telemetry.merged import Merged
from gateway.telemetry.process import (
    INTERVAL,
    LoopLag,
    register_build,
    register_lag,
    register_process,
    register_tasks,
)
from tests.gateway.telemetry.collected import collected


def samples(collector) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in collected(collector.families())
        for sample in family.samples
    }


class Loop:
    """An event loop whose time is set by hand, and that runs timers when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, object]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at, callback):
        self.timers.append((at, callback))
        return SimpleNamespace(cancel=self.timers.clear)

    def run(self, late: float) -> None:
        at, callback = self.timers.pop()
        self.now = at + late
        callback()


def test_lag_is_how_late_a_timer_runs() -> None:
    loop = Loop()
    lag = LoopLag(loop)
    lag.start()
    for late in (0.0, 0.0002, 0.3):
        loop.run(late)
    counted = [bucket for bucket, count in enumerate(lag.seconds.counts) if count]
    assert [lag.seconds.bounds[bucket] for bucket in counted] == [0.0005, 0.5]
    assert sum(lag.seconds.counts) == 3


def test_after_a_stall_it_is_not_made_up_for() -> None:
    loop = Loop()
    lag = LoopLag(loop)
    lag.start()
    loop.run(5.0)
    ((at, _),) = loop.timers
    assert at == loop.now + INTERVAL


async def test_it_stops() -> None:
    lag = LoopLag(asyncio.get_running_loop())
    lag.stop()
    lag.start()
    lag.stop()
    await asyncio.sleep(2 * INTERVAL)
    assert sum(lag.seconds.counts) == 0


def test_every_process_has_series_of_its_own() -> None:
    totals, loop = Totals(), Loop()
    register_process(totals)
    register_lag(totals, LoopLag(loop))
    merged = Merged()
    for worker in ("0/10", "1/11", "supervisor/"):
        merged.report(worker, totals.families())
    found = samples(merged)
    for worker in ("0", "1", "supervisor"):
        assert found["penstock_process_resident_memory_bytes", worker] > 0
        assert found["penstock_process_open_fds", worker] > 0
        assert found["penstock_event_loop_lag_seconds_count", worker] == 0
    assert ("penstock_process_cpu_seconds_total", "0") in found


async def test_tasks_are_counted_while_they_last() -> None:
    totals, merged, end = Totals(), Merged(), asyncio.Event()
    register_tasks(totals, asyncio.get_running_loop())

    def told() -> float:
        merged.report("0/1", totals.families())
        return samples(merged)["penstock_asyncio_tasks", "0"]

    before = told()
    more = [asyncio.create_task(end.wait()) for _ in range(3)]
    assert told() == before + 3
    end.set()
    await asyncio.gather(*more)
    assert told() == before


def test_the_build_is_told() -> None:
    totals = Totals()
    register_build(totals, "1.2.3")
    ((name, version, *_),) = samples(totals)
    assert (name, version) == ("penstock_build_info", "1.2.3")
