"""Answers that are unlike any other: who was given whose, and what is one."""

import pytest

from chaos.marked import LENGTH, PARTS, UNARY, Seen, shared_marks


def seen(tenant: str, *marks: int, route: str = UNARY, said: str = "", number: int = 7) -> Seen:
    return Seen(0.0, tenant, route, 7, 200, (number,) * len(marks), marks, said, "miss")


def test_a_mark_that_two_tenants_were_given_is_found() -> None:
    assert shared_marks([seen("ant", 1), seen("ant", 1), seen("bee", 2)]) == 0
    assert shared_marks([seen("ant", 1), seen("bee", 1), seen("bee", 2)]) == 1


def test_a_mark_in_any_part_of_a_stream_is_found() -> None:
    assert shared_marks([seen("ant", 1, 1, 2), seen("bee", 2)]) == 1


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        (seen("ant", 1), True),
        (seen("ant", 1, number=8), False),
        (seen("ant"), False),
        (seen("ant", *[1] * LENGTH, route=PARTS), True),
        (seen("ant", *[1] * (LENGTH - 1), route=PARTS), False),
        (seen("ant", *[1] * (LENGTH - 1), 2, route=PARTS), False),
        (seen("ant", *[1] * LENGTH, route=PARTS, said="the model failed"), False),
    ],
)
def test_an_answer_is_whole_if_it_is_of_one_execution_and_to_what_was_asked(
    given: Seen, whole: bool
) -> None:
    assert given.whole is whole
