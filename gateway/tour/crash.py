"""Fifth stop: a backend is killed while everybody asks it."""

import asyncio
import os
import signal
import time
from pathlib import Path

from gateway.client import Instance
from gateway.tour.digits import MODEL, asked
from gateway.tour.guide import Guide
from gateway.tour.load import Load
from gateway.tour.site import Site, until
from protos.errors import Kind, PenstockError

_CALLERS = 16
_BEFORE = 1.5  # seconds of load until the blow,
_AFTER = 3.0  # and after it


async def visit(site: Site, guide: Guide) -> None:
    guide.stop(f"kill -9 of a backend, under the load of {_CALLERS} callers")
    victim = await _victim(site)
    process: int = victim.raw["process"]
    questions, _ = asked(site, MODEL, 200)
    load = Load(site.address, questions, callers=_CALLERS, once=False)
    running = asyncio.create_task(load.run())
    try:
        await asyncio.sleep(_BEFORE)
        before = load.seen.answered
        os.kill(process, signal.SIGKILL)
        killed = time.monotonic()
        await asyncio.sleep(_AFTER)
        under_way = load.seen.answered - before
    finally:
        load.stop()
        await running
    guide.say(f"{victim.name} (process {process}) was killed after {before} answers.")
    failures = load.seen.failed
    guide.say(
        f"{under_way} more answers in the {_AFTER:g} s after it, {failures} failures;"
        f" the slowest of all took {1e3 * max(load.seen.seconds):.0f} ms.",
        "bold" if not failures else "bold red",
    )
    guide.say(
        "What was in flight went to the other backend at once: the route names it as `fallback`,"
        " and inference may be repeated."
    )
    with guide.under_way() as ticker:
        ticker.tell(f"{victim.name} starts again …")
        await until(victim.name, lambda: _back(site, victim))
    guide.say(f"`penstock up` started it again; it served {time.monotonic() - killed:.0f} s later.")


async def _victim(site: Site) -> Instance:
    """The backend that most callers of the demo meet, if it is a process of this machine."""
    for instance in await site.client.instances():
        serves = any(each.name == MODEL and each.version == "1" for each in instance.models)
        if serves and _ours(instance.raw["process"]):
            return instance
    raise PenstockError(Kind.UNAVAILABLE, f"no backend on this machine serves {MODEL}/1")


def _ours(process: int) -> bool:
    """Whether it is a backend indeed: what is killed must be nobody else's."""
    try:
        return b"backends" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


async def _back(site: Site, victim: Instance) -> bool:
    epoch = victim.raw["epoch"]
    return any(
        each.name == victim.name
        and each.raw["epoch"] > epoch
        and any(m.name == MODEL and m.state == "READY" for m in each.models)
        for each in await site.client.instances()
    )
