"""Fifth stop: a backend is killed while everybody asks it."""

import asyncio
import time
from contextlib import closing

from gateway.client import Instance
from gateway.tour.digits import MODEL, asked
from gateway.tour.guide import Guide
from gateway.tour.load import Load
from gateway.tour.site import Site, until
from gateway.tour.victim import Victim, victim_of

_CALLERS = 16
_BEFORE = 1.5  # seconds of load until the blow,
_AFTER = 3.0  # and after it


async def visit(site: Site, guide: Guide) -> None:
    guide.stop(f"kill -9 of a backend, under the load of {_CALLERS} callers")
    found = await _victim(site)
    if found is None:
        guide.say(f"No backend of {MODEL}/1 was started here by `penstock up`, so none is killed.")
        return
    instance, victim = found
    with closing(victim):
        load, before, killed = await _blow(site, victim)
    guide.say(f"{instance.name} (process {victim.process}) was killed after {before} answers.")
    failures = load.seen.failed
    guide.say(
        f"{load.seen.answered - before} more answers in the {_AFTER:g} s after it,"
        f" {failures} failures; the slowest of all took {load.seen.quantile(1.0):.0f} ms.",
        "bold" if not failures else "bold red",
    )
    guide.say(
        "What was in flight went to the other backend at once: the route names it as `fallback`,"
        " and inference may be repeated."
    )
    with guide.under_way() as ticker:
        ticker.tell(f"{instance.name} starts again …")
        await until(instance.name, lambda: _back(site, instance))
    guide.say(f"`penstock up` started it again; it served {time.monotonic() - killed:.0f} s later.")


async def _blow(site: Site, victim: Victim) -> tuple[Load, int, float]:
    """The load, how many answers there were until the blow, and when that fell."""
    questions, _ = asked(site, MODEL, 200)
    load = Load(site.address, questions, callers=_CALLERS, once=False)
    running = asyncio.create_task(load.run())
    try:
        await asyncio.sleep(_BEFORE)
        before = load.seen.answered
        victim.kill()
        killed = time.monotonic()
        await asyncio.sleep(_AFTER)
    finally:
        load.stop()
        await running
    return load, before, killed


async def _victim(site: Site) -> tuple[Instance, Victim] | None:
    """The backend that most callers of the demo meet, if it is a process of this machine."""
    for instance in await site.client.instances():
        serves = any(each.name == MODEL and each.version == "1" for each in instance.models)
        if serves and (victim := victim_of(instance, site.config, site.join_token_file)):
            return instance, victim
    return None


async def _back(site: Site, before: Instance) -> bool:
    return any(
        each.name == before.name
        and each.raw["epoch"] > before.raw["epoch"]
        and any(m.name == MODEL and m.state == "READY" for m in each.models)
        for each in await site.client.instances()
    )
