"""A fault that left nothing behind is told from one that did."""

from chaos.felt import felt, killed, repeated
from chaos.history import Execution


def test_what_a_fault_leaves_behind_is_counted() -> None:
    assert felt("connections were reset", 3, 3).holds
    assert not felt("connections were reset", 2, 3).holds
    assert not felt("connections were reset", float("nan")).holds


def test_requests_count_as_repeated_once_they_ran_twice() -> None:
    once, again = Execution(1, "a", 0.0), Execution(1, "b", 1.0)

    assert repeated([once, again]).holds
    assert not repeated([once, Execution(2, "b", 1.0)]).holds
    assert not repeated([]).holds


def test_who_runs_or_ended_otherwise_was_not_killed() -> None:
    assert killed([-9, -9]).holds
    assert not killed([-9, None]).holds
    assert not killed([0]).holds
    assert not killed([]).holds
