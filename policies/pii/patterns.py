"""RE2 over folded bytes."""

from typing import Any

import re2

_MEMORY = 64 << 20  # bytes that RE2 may use for an automaton


class Place:
    """Finds where a pattern matches, without its groups.

    The module's own search makes a generator and a match object of each answer, which takes twice
    as long as RE2 does; so RE2 is asked directly.
    """

    __slots__ = ("_match",)

    def __init__(self, source: bytes) -> None:
        """Raises re2.error."""
        regexp = re2._re2.RE2(source, options(groups=False))
        if not regexp.ok():
            raise re2.error(regexp.error())
        self._match = regexp.Match

    def search(self, data: bytes, start: int = 0) -> tuple[int, int] | None:
        """Where the first match at `start` or behind it begins and ends."""
        place: tuple[int, int] = self._match(_ANYWHERE, data, start, len(data))[0]
        return None if place[0] < 0 else place


_ANYWHERE = re2._re2.RE2.Anchor.UNANCHORED


def compiled(source: bytes) -> Any:
    """A pattern of `re2`. Raises re2.error."""
    return re2.compile(source, options(groups=True))


def options(*, groups: bool) -> re2.Options:
    """Latin-1, as text is folded, and nothing written to standard error."""
    made = re2.Options()
    made.encoding = re2.Options.Encoding.LATIN1
    made.log_errors = False
    made.never_capture = not groups
    made.max_mem = _MEMORY
    return made
