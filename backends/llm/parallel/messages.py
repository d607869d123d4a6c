"""A step as numbers, which rank 0 tells the others."""

from collections.abc import Callable

from backends.llm.paged import Piece
from backends.llm.runner import Demand


def numbers_of(demands: list[Demand], number: Callable[[str], int], size: int) -> list[int]:
    """Each demand's head and tokens, and its blocks of `size` tokens, as far as they are needed.

    Adapters go by their `number`, 0 is none.
    """
    told: list[int] = []
    for each in demands:
        piece = each.piece
        held = -(-(piece.start + len(piece.tokens)) // size)
        adapter = number(each.adapter) if each.adapter else 0
        told += (piece.start, len(piece.tokens), held, adapter, each.logits)
        told += piece.tokens
        told += piece.blocks[:held]
    return told


def demands_from(numbers: list[int]) -> list[Demand]:
    """What `numbers_of` made them of, with adapters named by their numbers."""
    found: list[Demand] = []
    at = 0
    while at < len(numbers):
        start, count, held, adapter, logits = numbers[at : at + 5]
        at += 5
        tokens = numbers[at : at + count]
        blocks = numbers[at + count : at + count + held]
        at += count + held
        found.append(Demand(Piece(tokens, start, blocks), str(adapter) if adapter else "", logits))
    return found
