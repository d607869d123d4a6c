"""What may be said of an exception that nobody expected: its message may hold a tenant's data."""

import logging
import secrets
import time
from collections.abc import Callable
from traceback import walk_tb

from protos.errors import Kind, PenstockError

log = logging.getLogger(__name__)

MOST = 20.0
RATE = 1.0


def frames_of(raised: BaseException) -> str:
    """The types and the frames of the exception and of those behind it, a line each.

    Neither their messages nor lines of source, in which literals stand.
    """
    lines: list[str] = []
    seen: set[int] = set()
    error: BaseException | None = raised
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        lines.append(type(error).__qualname__)
        for frame, line in walk_tb(error.__traceback__):
            code = frame.f_code
            lines.append(f"  {code.co_filename}:{line} {code.co_name}")
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)
    return "\n".join(lines)


class Sparing:
    """Which of many failures at one place are told, so that a broken model fills no disk: `MOST` at
    once and `RATE` a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: dict[str, tuple[float, float, int]] = {}  # left, when, untold since

    def untold(self, place: str) -> int | None:
        """How many were not told since the last that was; None if this isn't to be told either."""
        now = self._clock()
        left, at, untold = self._places.get(place, (MOST, now, 0))
        left = min(MOST, left + (now - at) * RATE)
        if left < 1.0:
            self._places[place] = left, now, untold + 1
            return None
        self._places[place] = left - 1.0, now, 0
        return untold


_sparing = Sparing()


def tell(logger: logging.Logger, place: str, what: str, raised: BaseException) -> None:
    """Logs `what` with the frames; the message at debug level only. `place` is one of few."""
    untold = _sparing.untold(place)
    if untold is None:
        return
    more = f" ({untold} like it were not told)" if untold else ""
    logger.error("%s%s: %s", what, more, frames_of(raised))
    logger.debug("%s", what, exc_info=raised)


def incident(raised: BaseException, what: str) -> PenstockError:
    """INTERNAL under an id with which the log has the frames, unless there are too many like it."""
    name = secrets.token_hex(8)
    tell(log, what, f"incident {name}: {what}", raised)
    return PenstockError(Kind.INTERNAL, f"internal error, incident {name}")
