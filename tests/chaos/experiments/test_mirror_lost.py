"""Copies that were in flight to a mirror's backend while it hung are counted by those it made."""

from chaos.experiments.mirror_lost import HUNG, most_sent
from chaos.history import Execution, History, Request
from chaos.verdict import Step

HISTORY = History([Request(at, at, at, at + 0.1, 200, whole=True) for at in range(10)])


def made(*numbers: int) -> list[Execution]:
    return [Execution(number, "1", 9.0) for number in numbers]


def test_the_worst_of_all_times_counts() -> None:
    steps = [Step(HUNG, 0.0, 2.0), Step("another fault", 2.0, 7.0), Step(HUNG, 7.0, 9.5)]

    assert most_sent(steps, HISTORY, made(0, 2, 3, 4, 5, 7, 8)) == 2
    assert most_sent(steps, HISTORY, made(0, 2, 3)) == 1
    assert most_sent(steps, HISTORY, []) == 0


def test_who_came_just_before_it_went_on_is_of_neither() -> None:
    assert most_sent([Step(HUNG, 0.0, 3.05)], HISTORY, made(1, 2, 3)) == 2
