"""What may be said of an exception that nobody expected: its message may hold a tenant's data."""

import logging
import secrets
from traceback import walk_tb

from protos.errors import Kind, PenstockError

log = logging.getLogger(__name__)


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


def incident(raised: BaseException, what: str) -> PenstockError:
    """INTERNAL under an id with which the log has the frames, and at debug level the message."""
    name = secrets.token_hex(8)
    log.error("incident %s: %s: %s", name, what, frames_of(raised))
    log.debug("incident %s", name, exc_info=raised)
    return PenstockError(Kind.INTERNAL, f"internal error, incident {name}")
