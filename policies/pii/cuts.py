"""Where a text can be cut: places that no identifier stretches across.

Streams give out what stands before the last such place. What is found never depends on where the
pieces of a stream end, since findings are held to these places in whole texts too.
"""

import re

# Between words of prose, and behind signs that no pattern has. A line break between two digits may
# be in the middle of a number.
_CUT = re.compile(
    rb"[A-Za-z]{3}[,.;:]? (?=[a-z])|[\"<>{}|`\x83]|(?<![0-9\r])\n|(?<![0-9])\r\n|\n(?=[^0-9])"
)
BLOCK = b"-----BEGIN "
_BLOCK_END = re.compile(rb"-----END [0-9A-Z ]{0,48}-----")

# Behind a number words count for it even across cuts, for so many characters.
BEHIND = 32
_NUMBER_ENDS = 16  # characters before its end in which such a number has five digits together
_LONG_NUMBER = re.compile(rb"[0-9](?:[ ./:-]{0,2}[0-9]){4}")

# Findings with blanks in them have at most 96 folded characters, others at most 16,384. A finding
# is known when one more of its kind, which may begin within it, and what stands beside that, fits.
SPACED = 2 * 96 + 64
LONGEST = 2 * 16384 + 64


def heard(found: bytes, behind: bytes) -> bytes:
    """What of the text behind a finding says something of it: of numbers all, else its clause."""
    if _LONG_NUMBER.search(found[-_NUMBER_ENDS:]) is not None:
        return behind
    tail = found[-4:]  # a cut may begin with the finding's last letters
    match = _CUT.search(tail + behind)
    return behind if match is None else behind[: max(0, match.end() - len(tail))]


def has_cut(data: bytes, start: int, end: int) -> bool:
    """Whether a cut lies within `data[start:end]`."""
    return _CUT.search(data, start, end) is not None


def settled(data: bytes, start: int, wait: int) -> int:
    """Up to where, from `start` on, findings can't change, whatever text follows `data`.

    `wait` is how many characters findings need that heed no cuts, 0 where there are none. The data
    must not end in an escape that isn't finished.
    """
    end = open_block(data, start)
    number = _LONG_NUMBER.search(data, max(start, len(data) - BEHIND - _NUMBER_ENDS))
    if number is not None:
        end = min(end, number.start())
    position = start
    for match in _CUT.finditer(data, start, end):
        position = match.end()
    # Text without prose, such as a table of numbers, or without any blank at all.
    far = max(start, min(end, len(data) - SPACED))
    space = max(data.rfind(b" ", start, far), data.rfind(b"\n", start, far))
    position = max(position, space + 1, len(data) - LONGEST)
    return max(start, min(position, len(data) - wait) if wait else position)


def open_block(data: bytes, start: int) -> int:
    """Where a private key begins that has not ended yet, or the end of the data."""
    begin = data.find(BLOCK, start)
    while begin >= 0:
        end = _BLOCK_END.search(data, begin)
        if end is None:
            return begin
        begin = data.find(BLOCK, end.end())
    return len(data)
