"""What must hold of the work that backends did: both outcomes of each invariant."""

from dataclasses import replace

from chaos import work
from chaos.history import Execution, History, Request

ASKED = Request(1, 0.0, 0.0, 0.5, 200, True)
LEFT = replace(ASKED, number=2, status=0, left=True)


def ran(number, at, instance="b0"):
    return Execution(number, instance, at)


def test_nothing_begins_after_its_deadline():
    history = History([ASKED])
    assert work.nothing_began_after(0.3, history, [ran(1, 0.3)], slack=0.1).holds
    assert not work.nothing_began_after(0.3, history, [ran(1, 0.5)], slack=0.1).holds
    assert not work.nothing_began_after(0.3, history, [], slack=0.1).holds


def test_nothing_begins_for_a_client_that_has_gone():
    history = History([ASKED, LEFT])
    assert work.nothing_began_for_who_left(history, [ran(1, 9.0), ran(2, 0.55)], 0.1).holds
    assert not work.nothing_began_for_who_left(history, [ran(2, 0.7)], 0.1).holds
    assert not work.nothing_began_for_who_left(History([ASKED]), [], 0.1).holds


def test_what_must_not_be_repeated_ran_once_at_most():
    assert work.never_repeated([ran(1, 0.0), ran(2, 0.0), ran(2, 1.0)], {1}, "").holds
    assert not work.never_repeated([ran(2, 0.0), ran(2, 1.0)], {2}, "").holds
    assert not work.never_repeated([], (), "").holds


def test_a_poison_that_kills_nobody_shows_nothing():
    assert [work.took_with_it(dead, 2).holds for dead in (0, 1, 2, 3)] == [False, True, True, False]
