"""A report is made by a process of its own, which ends with whoever asked for it."""

import asyncio
import os
from pathlib import Path

import pytest

from gateway.console.reports import Report, reporter
from protos.errors import Kind, PenstockError
from tests.gateway.http.raw_http import until


@pytest.fixture
def stuck(tmp_path: Path) -> Report:
    """Its process waits for the configuration for ever."""
    file = tmp_path / "penstock.yaml"
    os.mkfifo(file)
    return reporter(file)


def running(folder: Path) -> list[int]:
    """The processes that have something to do with the folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = each.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if bytes(folder) in said and b"shadow" in said:
            found.append(int(each.parent.name))
    return found


async def test_who_goes_away_takes_the_process_along(stuck: Report, tmp_path: Path):
    asking = asyncio.create_task(stuck("fraud", "1h"))
    async with asyncio.timeout(30):
        await until(lambda: bool(running(tmp_path)), 30)
        with pytest.raises(PenstockError) as refused:
            await stuck("fraud", "1h")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert refused.value.kind is Kind.OVERLOADED
    assert running(tmp_path) == []


async def test_after_that_another_can_be_asked_for(stuck: Report, tmp_path: Path):
    for _ in range(2):
        asking = asyncio.create_task(stuck("fraud", "1h"))
        async with asyncio.timeout(30):
            await until(lambda: bool(running(tmp_path)), 30)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize("route", ["\0", "a\nb", "\ud800", "x" * 257])
async def test_a_name_that_no_program_takes_is_refused(stuck: Report, route: str):
    with pytest.raises(PenstockError, match="route: ") as refused:
        await stuck(route, "1h")
    assert refused.value.kind is Kind.INVALID


@pytest.mark.parametrize("since", ["", "0s", "8d", "soon"])
async def test_a_time_that_is_none_or_too_long_is_refused(stuck: Report, since: str):
    with pytest.raises(PenstockError, match="since: "):
        await stuck("fraud", since)
