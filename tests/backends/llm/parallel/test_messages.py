"""A step is the same after it has been told as numbers."""

from backends.llm.paged import Piece
from backends.llm.parallel.messages import demands_from, numbers_of
from backends.llm.runner import Demand


def test_a_step_comes_out_as_it_went_in() -> None:
    demands = [
        Demand(Piece([7, 8, 9], 0, [3]), "", 0),
        Demand(Piece([1], 9, [5, 4, 6]), "base:one", 1),
        Demand(Piece([2, 2], 4, [8, 9]), "", 2),
    ]
    numbers = numbers_of(demands, {"base:one": 12}.__getitem__, 4)
    told = demands_from(numbers)
    assert [(each.piece, each.logits) for each in told] == [(e.piece, e.logits) for e in demands]
    assert [each.adapter for each in told] == ["", "12", ""]


def test_blocks_that_are_not_reached_are_not_told() -> None:
    demands = [Demand(Piece([1], 3, [5, 6, 7]), "", 1)]
    (told,) = demands_from(numbers_of(demands, {}.__getitem__, 4))
    assert told.piece.blocks == [5]


def test_a_step_of_nothing_is_nothing() -> None:
    assert demands_from(numbers_of([], {}.__getitem__, 4)) == []
