"""What is held against a history: both outcomes of each, and that nothing holds of nobody."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chaos.history import Execution, History, Request
from chaos.invariants import (
    attempts_bounded,
    everybody_was_answered_by,
    latency_back,
    lost_only_in_flight,
    no_request_executed_over,
    no_server_error,
    nobody_ended,
    none_failed,
    refusals_say_when,
    replies_are_whole,
)
from chaos.verdict import Verdict

GOOD = Request(1, planned=1.0, sent=1.0, done=1.5, status=200, whole=True)
LEFT = replace(GOOD, status=0, whole=False, left=True)
LOST = replace(GOOD, status=0, whole=False)
CUT = replace(GOOD, whole=False)
REFUSED = replace(GOOD, status=503, retry_after="1")


def execution(number: int = 1) -> Execution:
    return Execution(number, "b0", 1.0)


@pytest.mark.parametrize(
    "held",
    [
        none_failed,
        no_server_error,
        replies_are_whole,
        refusals_say_when,
        lambda history: everybody_was_answered_by(history, 1.0),
        lambda history: attempts_bounded(history, []),
        lambda history: attempts_bounded(history, [execution()]),
        lambda history: no_request_executed_over([]),
        lambda history: lost_only_in_flight(history, 1.0),
        lambda history: latency_back(history, history, ratio=1.5),
        lambda history: latency_back(History([GOOD]), history, ratio=1.5),
    ],
)
def test_nothing_holds_of_nobody(held: Callable[[History], Verdict]) -> None:
    assert not held(History()).holds


@pytest.mark.parametrize("bad", [LOST, CUT, REFUSED, replace(GOOD, status=500)])
def test_whoever_was_not_answered_has_failed_but_those_who_left(bad: Request) -> None:
    assert none_failed(History([GOOD, LEFT])).holds
    assert not none_failed(History([GOOD, bad])).holds
    assert not none_failed(History([LEFT])).holds


def test_a_refusal_may_be_no_error_of_the_server() -> None:
    assert no_server_error(History([GOOD, REFUSED]), but=(503,)).holds
    assert [no_server_error(History([GOOD, bad])).holds for bad in (REFUSED, LOST, CUT)] == [
        False
    ] * 3


def test_a_reply_that_began_well_is_whole() -> None:
    assert replies_are_whole(History([GOOD, REFUSED])).holds
    assert not replies_are_whole(History([GOOD, CUT])).holds


def test_refusals_say_when() -> None:
    assert refusals_say_when(History([GOOD, REFUSED])).holds
    assert not refusals_say_when(History([REFUSED, replace(REFUSED, retry_after="")])).holds


def test_the_slowest_answer_is_held_to_the_deadline() -> None:
    assert everybody_was_answered_by(History([GOOD]), 0.5, slack=0.0).holds
    assert not everybody_was_answered_by(History([GOOD]), 0.4, slack=0.0).holds


def test_attempts_are_held_to_a_ratio_and_a_few_more() -> None:
    history = History([GOOD] * 10)

    assert attempts_bounded(history, [execution()] * 15).holds
    assert not attempts_bounded(history, [execution()] * 16).holds
    assert no_request_executed_over([execution()] * 3).holds
    assert not no_request_executed_over([execution()] * 4).holds


def test_connections_that_are_kept_may_end_a_little_later_than_fresh_ones() -> None:
    late = replace(LOST, sent=1.4, done=1.45)

    assert lost_only_in_flight(History([GOOD, late]), 1.2, slack=0.5).holds
    assert not lost_only_in_flight(History([GOOD, late]), 1.2).holds


def test_who_ended_unasked_is_named() -> None:
    assert nobody_ended([]).holds
    assert not nobody_ended(["b1"]).holds
    assert nobody_ended(["b1", "gateway"]).measured == "b1, gateway"


def test_latency_is_back_within_a_ratio_or_what_is_no_difference() -> None:
    before = History([replace(GOOD, done=1.1)])

    assert latency_back(before, History([replace(GOOD, done=1.14)]), ratio=1.5).holds
    assert not latency_back(before, History([replace(GOOD, done=1.16)]), ratio=1.5).holds
    assert latency_back(before, History([replace(GOOD, done=1.16)]), ratio=1.5, floor=0.1).holds
