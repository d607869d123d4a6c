"""One endpoint's breaker: what counts against it, how long it is out, and how it comes back."""

import pytest

from protos.errors import Kind
from routing.breaker import (
    BASE,
    HEAL,
    INCONCLUSIVE,
    LONGEST,
    TRANSITIONS,
    WINDOW,
    Breaker,
    Event,
    IllegalTransition,
    State,
    Verdict,
    verdict,
)

GOOD, BAD, MODEL, NOTHING = Verdict.GOOD, Verdict.BAD, Verdict.MODEL, Verdict.NOTHING


def ejected(now=0.0):
    breaker = Breaker()
    breaker.eject(now)
    return breaker


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Kind.LOST, BAD),
        (Kind.BAD_REPLY, BAD),
        (Kind.INTERNAL, BAD),
        (Kind.INTERRUPTED, BAD),
        (Kind.UNAVAILABLE, BAD),
        (Kind.DEADLINE, BAD),
        (Kind.MODEL_FAILED, MODEL),
        (Kind.OVERLOADED, NOTHING),
        (Kind.INVALID, GOOD),
    ],
)
def test_what_a_failure_says_of_the_endpoint(kind, says):
    assert verdict(kind, connected=True, late=True) is says


def test_a_deadline_that_was_too_short_for_the_queue_says_nothing():
    assert verdict(Kind.DEADLINE, connected=True, late=False) is NOTHING


def test_a_connection_that_is_not_there_says_nothing():
    assert verdict(Kind.UNAVAILABLE, connected=False, late=True) is NOTHING


def test_what_fails_together_has_one_cause_and_counts_once():
    breaker = Breaker()
    for _ in range(500):
        breaker.record(BAD, 1.0)
    assert breaker.consecutive == 1


def test_each_failed_probe_doubles_the_time_out_up_to_five_minutes():
    breaker = ejected()
    times = []
    now = 0.0
    for _ in range(10):
        times.append(breaker.until - now)
        now = breaker.until
        breaker.begin_probe("probe")
        breaker.end_probe(BAD, now)
    assert times == [BASE * 2**n for n in range(6)] + [LONGEST] * 4


def test_time_in_service_makes_the_next_ejection_short_again():
    breaker = ejected()
    for _ in range(3):
        breaker.begin_probe("probe")
        breaker.end_probe(BAD, 0.0)
    breaker.begin_probe("probe")
    breaker.end_probe(GOOD, 0.0)
    breaker.eject(2 * HEAL)
    assert breaker.until - 2 * HEAL == BASE * 4  # would have been 16


def test_a_probe_that_told_nothing_is_made_again_soon_and_doubles_nothing():
    breaker = ejected()
    breaker.begin_probe("probe")
    breaker.end_probe(NOTHING, 10.0)
    assert (breaker.state, breaker.until) == (State.OPEN, 10.0 + INCONCLUSIVE)
    breaker.begin_probe("probe")
    breaker.end_probe(BAD, 11.0)
    assert breaker.until == 11.0 + 2 * BASE


def test_rates_are_of_the_last_windows_only():
    breaker = Breaker()
    for _ in range(10):
        breaker.record(MODEL, 0.0)
    assert breaker.rate(WINDOW + 0.1) == (10, 10)
    assert breaker.rate(3 * WINDOW) == (0, 0)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_what_the_table_does_not_have_is_illegal(state, event):
    if (state, event) in TRANSITIONS:
        return
    breaker = Breaker()
    breaker.state = state
    act = {
        Event.EJECT: lambda: breaker.eject(0.0),
        Event.PROBE: lambda: breaker.begin_probe("probe"),
        Event.SUCCEED: lambda: breaker.end_probe(GOOD, 0.0),
        Event.FAIL: lambda: breaker.end_probe(BAD, 0.0),
        Event.LAPSE: lambda: breaker.end_probe(NOTHING, 0.0),
    }[event]
    with pytest.raises(IllegalTransition, match=f"{event} while {state}"):
        act()
