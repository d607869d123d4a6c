"""Shadow reports, made by the command line in a process of its own.

Statistics over a day's comparisons take seconds of computing; here they would stop requests.
"""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from protos.errors import Kind, PenstockError, invalid
from protos.names import check_text
from protos.quantities import seconds

PATIENCE = 60.0  # seconds
LONGEST = 7 * 86400.0  # seconds that a report is on
_NOTHING = 1  # the command's status when there are no records

# From a route and a duration such as 24h.
Report = Callable[[str, str], Awaitable[bytes]]


def reporter(file: Path) -> Report:
    """What makes the page of a report for the configuration in `file`, one at a time.

    It raises INVALID for a duration that isn't one or is too long, NOT_FOUND without records,
    OVERLOADED while another is being made and UNAVAILABLE when it fails.
    """
    command = (
        *(sys.executable, "-m", "gateway", "shadow", "report", "--format", "html"),
        *("--config", str(file)),
    )
    busy = asyncio.Lock()

    async def report(route: str, since: str) -> bytes:
        check_text(route, "route")
        try:
            period = seconds(since)
        except ValueError as error:
            raise invalid(f"since: {error}") from None
        if not 0 < period <= LONGEST:
            raise invalid("since: is more than zero and at most 7d")
        if busy.locked():
            raise PenstockError(Kind.OVERLOADED, "another report is being made", retry_after=2.0)
        async with busy:
            return await asyncio.to_thread(
                _made, (*command, f"--route={route}", f"--since={since}")
            )

    return report


def _made(command: tuple[str, ...]) -> bytes:
    # In a thread of the standard library, which starts processes without forking our threads.
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = f"the report can't be made ({type(error).__name__})"
        raise PenstockError(Kind.UNAVAILABLE, why) from error
    if done.returncode == _NOTHING:
        raise PenstockError(Kind.NOT_FOUND, "nothing was mirrored in that time")
    if done.returncode:
        raise PenstockError(Kind.UNAVAILABLE, "the report can't be made: the record store fails")
    return done.stdout
