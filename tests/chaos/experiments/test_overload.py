"""Who was admitted and told too late counts as late, and not as refused."""

from chaos.experiments.overload import DEADLINE, in_time
from chaos.history import History, Request


def requests(count: int, status: int, seconds: float) -> list[Request]:
    return [Request(number, 0.0, 0.0, seconds, status, whole=True) for number in range(count)]


def test_deadlines_that_pass_after_admission_are_late() -> None:
    answered = requests(99, 200, 0.1)

    assert in_time(History([*answered, *requests(1, 504, DEADLINE)])).holds
    assert not in_time(History([*answered, *requests(2, 504, DEADLINE)])).holds


def test_answers_that_come_too_late_are_late() -> None:
    assert not in_time(History(requests(99, 200, 0.1) + requests(2, 200, DEADLINE + 0.1))).holds


def test_where_nobody_was_admitted_nothing_is_shown() -> None:
    assert not in_time(History(requests(9, 503, 0.1))).holds
