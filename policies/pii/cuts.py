"""Where a text can be cut: places that no identifier stretches across.

Streams give out what stands before the last such place; it is found by looking at the text alone,
so where the pieces of a stream end makes no difference.
"""

import re

# Between words of prose, and at signs that no pattern has.
_CUT = re.compile(rb"[A-Za-z]{3}[,.;:]? (?=[a-z])|[\"<>{}|`\n\x83]")
_BLOCK = b"-----BEGIN "
_BLOCK_END = re.compile(rb"-----END [0-9A-Z ]{0,48}-----")


def first_cut(data: bytes, start: int, end: int) -> int:
    """The position behind the first cut that lies in `data[start:end]`, or `end`."""
    match = _CUT.search(data, start, end)
    return end if match is None else match.end()


def has_cut(data: bytes, start: int, end: int) -> bool:
    """Whether a cut lies within `data[start:end]`."""
    return _CUT.search(data, start, end) is not None


def last_cut(data: bytes, start: int) -> int:
    """The position behind the last cut after `start`, or `start`; none lies in an open block."""
    end = _open_block(data, start)
    position = start
    for match in _CUT.finditer(data, start, end):
        position = match.end()
    return position


def _open_block(data: bytes, start: int) -> int:
    """Where a private key begins that has not ended yet, or the end of the data."""
    begin = data.rfind(_BLOCK, start)
    if begin < 0:
        # It may be about to begin.
        return len(data)
    return len(data) if _BLOCK_END.search(data, begin) else begin
