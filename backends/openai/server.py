"""The model server as a child of ours: started, started again when it ends, ended with us."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Sequence
from functools import partial

from protos.orphans import die_with

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds before it is started again
SETTLED = 60.0  # seconds of running after which its failures are forgotten
GRACE = 10.0  # seconds to finish after SIGTERM


async def keep_running(arguments: Sequence[str]) -> None:
    """Runs the command, its output on ours, until cancelled; then ends it and all it started."""
    pause = FIRST_PAUSE
    while True:
        began = time.monotonic()
        how = await _run(arguments)
        if time.monotonic() - began > SETTLED:
            pause = FIRST_PAUSE
        log.warning("the model's server %s; starting it again in %g s", how, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _run(arguments: Sequence[str]) -> str:
    """Runs it once; how it ended, in words."""
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=partial(_prepare, os.getpid()),
        )
    except OSError as error:
        return f"can't be started ({error.strerror})"
    try:
        return f"ended with status {await process.wait()}"
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Asks what still runs to finish, then kills its group: servers have children of their own."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _prepare(parent: int) -> None:
    """In the new process: a group of its own, so that Ctrl-C reaches us alone."""
    die_with(parent)
    os.setpgid(0, 0)
