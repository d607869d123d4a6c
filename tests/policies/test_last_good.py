"""What is read again and again holds for a while when reading fails."""

import asyncio
import logging
import threading

import pytest

from policies import last_good
from policies.last_good import LastGood
from protos.errors import invalid


class Place:
    """What is read; `fault` is raised if there is one."""

    def __init__(self) -> None:
        self.content = "a"
        self.fault: Exception | None = None
        self.reads = 0

    def read(self) -> str:
        self.reads += 1
        if self.fault is not None:
            raise self.fault
        return self.content


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def followed(place: Place, clock: Clock) -> tuple[LastGood[str], list[str | None]]:
    value = LastGood(place.read, "the list", interval=0.01, keep=100.0, clock=clock)
    seen: list[str | None] = []
    value.on_change = lambda: seen.append(value.value)
    return value, seen


async def test_changes_are_told_and_nothing_else() -> None:
    place = Place()
    value, seen = followed(place, Clock())
    assert value.value is None
    for content in ("a", "a", "b"):
        place.content = content
        await value.look()
    assert seen == ["a", "b"]
    assert value.looked.is_set()


async def test_the_last_value_counts_while_reading_fails_and_then_none() -> None:
    place, clock = Place(), Clock()
    value, seen = followed(place, clock)
    await value.look()
    place.fault = OSError("gone")
    clock.now = 100.0
    await value.look()
    assert value.value == "a"
    clock.now = 100.1
    await value.look()
    assert value.value is None
    place.fault = None
    await value.look()
    assert seen == ["a", None, "a"]


async def test_a_failure_is_logged_once_without_what_foreign_errors_say(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    place = Place()
    value, _ = followed(place, Clock())
    for fault in (OSError("password=hunter2"), OSError(), None, invalid("line 7 is odd"), None):
        place.fault = fault
        await value.look()
    assert caplog.messages == [
        "the list can't be read: OSError",
        "the list can be read again",
        "the list can't be read: line 7 is odd",
        "the list can be read again",
    ]


async def test_a_read_that_hangs_holds_one_thread_and_counts_as_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(last_good, "TIMEOUT", 0.01)
    go_on = threading.Event()
    reads: list[int] = []

    def read() -> str:
        reads.append(1)
        go_on.wait(10)
        return "late"

    value = LastGood(read, "the list", interval=0.01, keep=100.0)
    await value.look()
    await value.look()
    assert (len(reads), value.failures, value.value) == (1, 2, None)
    go_on.set()
    monkeypatch.setattr(last_good, "TIMEOUT", 5.0)
    await value.look()
    assert (len(reads), value.failures, value.value) == (1, 0, "late")


async def test_it_is_read_until_cancelled() -> None:
    place = Place()
    value, seen = followed(place, Clock())
    running = asyncio.create_task(value.run())
    await value.looked.wait()
    place.content = "b"
    async with asyncio.timeout(5):
        while len(seen) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    reads = place.reads
    await asyncio.sleep(0.05)
    assert place.reads == reads
