"""Guesses the next tokens from the text itself: what followed when its end stood there before.

Prompt look-up decoding (Saxena 2023), for answers that repeat what was asked: summaries, edits,
code. A wrong guess costs some computing in a step that is bound by memory, and never an answer.
"""

from collections.abc import Sequence

LONGEST = 3  # tokens of the end that are looked for, fewer where they aren't found
SHORTEST = 2
# Looked through from the end; what stands further back is guessed from no more.
REACH = 4096


def guess(tokens: Sequence[int], most: int) -> list[int]:
    """Up to `most` tokens that may come next."""
    if most <= 0:
        return []
    text = list(tokens[-REACH:])
    for length in range(LONGEST, SHORTEST - 1, -1):
        if len(text) <= length:
            continue
        end = text[-length:]
        for at in range(len(text) - length - 1, -1, -1):
            if text[at] == end[0] and text[at : at + length] == end:
                return text[at + length : at + length + most]
    return []
