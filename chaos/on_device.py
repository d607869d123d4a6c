"""Finds the moment at which a backend has a request on its device, so that a fault meets one."""

import asyncio

from chaos.experiment import Bench
from chaos.processes import Process
from chaos.site import Site

LOOK = 0.02  # seconds between two looks


async def on_device(bench: Bench, site: Site, backend: Process) -> int:
    """Waits until the backend has just begun to work on a request; that request's number."""
    while True:
        executions = await asyncio.to_thread(site.executions, bench.began)
        for each in executions:
            if each.instance == str(backend.pid) and bench.now() - each.at < site.model.row / 2:
                return each.number
        await asyncio.sleep(LOOK)
