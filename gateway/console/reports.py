"""Shadow reports, made by the command line in a process of its own.

Statistics over a day's comparisons take seconds of computing; here they would stop requests.
"""

import asyncio
import sys
import unicodedata
from collections.abc import Awaitable, Callable
from contextlib import suppress
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
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in route):
            raise invalid("route: has a control character")  # no program takes a NUL
        try:
            period = seconds(since)
        except ValueError as error:
            raise invalid(f"since: {error}") from None
        if not 0 < period <= LONGEST:
            raise invalid("since: is more than zero and at most 7d")
        if busy.locked():
            raise PenstockError(Kind.OVERLOADED, "another report is being made", retry_after=2.0)
        async with busy:
            return await _made((*command, f"--route={route}", f"--since={since}"))

    return report


async def _made(command: tuple[str, ...]) -> bytes:
    """What the command prints; it is killed when nobody waits for that any longer."""
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=quiet, stdout=asyncio.subprocess.PIPE, stderr=quiet
        )
    except OSError as error:
        raise _failed(type(error).__name__) from error
    try:
        async with asyncio.timeout(PATIENCE):
            page, _ = await process.communicate()
    except TimeoutError as error:
        raise _failed(f"it takes longer than {PATIENCE:g} s") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode == _NOTHING:
        raise PenstockError(Kind.NOT_FOUND, "nothing was mirrored in that time")
    if process.returncode:
        raise _failed("the record store fails")
    return page


def _failed(why: str) -> PenstockError:
    return PenstockError(Kind.UNAVAILABLE, f"the report can't be made: {why}")
