"""Guesses the next tokens from the text itself: what followed when its end stood there before.

Prompt look-up decoding (Saxena 2023), for answers that repeat what was asked: summaries, edits,
code. A wrong guess costs some computing in a step that is bound by memory, and never an answer.
"""

from array import array
from collections.abc import Sequence

LONGEST = 3  # tokens of the end that are looked for, fewer where they aren't found
SHORTEST = 2
# Looked through from the end; what stands further back is guessed from no more.
REACH = 4096
WIDTH = array("q").itemsize


def guess(tokens: Sequence[int], most: int) -> list[int]:
    """Up to `most` tokens that may come next."""
    if most <= 0:
        return []
    text = array("q", tokens[-REACH:])
    packed = text.tobytes()
    for length in range(min(LONGEST, len(text) - 1), SHORTEST - 1, -1):
        at = _find(packed, text[-length:].tobytes())
        if at >= 0:
            return text[at + length : at + length + most].tolist()
    return []


def _find(text: bytes, end: bytes) -> int:
    """The newest place of the tokens `end` before the end itself; -1 if there is none."""
    at = len(text)
    while (at := text.rfind(end, 0, at - 1)) >= 0:
        if at % WIDTH == 0:
            return at // WIDTH
        at += len(end)  # bytes of two tokens; look on before it
    return -1
