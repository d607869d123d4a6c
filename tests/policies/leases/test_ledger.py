"""What a ledger grants, charges and forgets."""

from datetime import UTC, datetime

import pytest

from policies.leases.ledger import Ledger
from policies.leases.periods import month_starts, period_end
from policies.leases.terms import ACTIVE_SECONDS, OUT_SECONDS, Ask, Grant, Kind, Terms

RATE = Terms("rate", 100.0, 10.0)
DAY = Terms("day", 100.0)
SLOTS = Terms("slots", 10.0)
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC).timestamp()


class Shared:
    """A ledger and its time."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.now = 50.0
        self.wall = NOON

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds

    def ask(self, holder: str, terms: Terms, **said: float) -> Grant:
        ask = Ask("record", terms, at_once=not said.get("reserved"))._replace(**said)
        return self.ledger.exchange(holder, [ask], self.now, self.wall).grants[0]


@pytest.fixture
def shared() -> Shared:
    return Shared()


def test_needs_are_granted_as_long_as_there_is_something(shared: Shared) -> None:
    assert shared.ask("one", RATE, need=70.0)[:2] == (70.0, 30.0)
    assert shared.ask("two", RATE, need=70.0)[:2] == (30.0, 0.0)
    assert shared.ask("one", RATE, need=1.0).granted == 0.0
    shared.sleep(0.5)
    assert shared.ask("one", RATE, need=70.0).granted == 5.0


def test_an_advance_is_a_leases_time_divided_by_use(shared: Shared) -> None:
    terms = Terms("rate", 10_000.0, 1000.0)
    assert shared.ask("one", terms, want=500.0).granted == 100.0
    assert shared.ask("two", terms, want=1500.0).granted == 75.0
    # Who has some already gets the rest.
    assert shared.ask("one", terms, want=500.0, held=20.0).granted == 5.0


def test_who_was_not_heard_of_lately_leaves_its_part_to_others(shared: Shared) -> None:
    terms = Terms("rate", 10_000.0, 1000.0)
    shared.ask("one", terms, want=500.0)
    shared.sleep(ACTIVE_SECONDS + 0.1)
    assert shared.ask("two", terms, want=500.0).cap == 100.0


def test_an_advance_too_small_for_a_request_is_not_given(shared: Shared) -> None:
    assert shared.ask("one", RATE, want=50.0).granted == 1.0
    assert shared.ask("two", RATE, want=50.0).granted == 0.0


def test_what_was_used_on_credit_is_charged_into_debt_and_paid_off_first(shared: Shared) -> None:
    shared.ask("one", RATE, need=100.0)
    assert shared.ask("two", RATE, charge=20.0).left == -20.0
    shared.sleep(2.0)
    assert shared.ask("two", RATE, need=1.0).granted == 0.0
    shared.sleep(1.0)
    assert shared.ask("two", RATE, need=10.0).granted == 10.0


def test_what_is_given_back_is_there_for_others(shared: Shared) -> None:
    shared.ask("one", RATE, need=100.0)
    shared.ask("one", RATE, charge=-40.0)
    assert shared.ask("two", RATE, need=100.0).granted == 40.0


def test_what_is_held_is_told_as_it_is_and_loses_nothing_with_a_message(shared: Shared) -> None:
    for _ in range(3):  # the answers get lost
        shared.ask("one", DAY, need=50.0)
    assert shared.ask("two", DAY).left == 50.0
    shared.ask("one", DAY, held=50.0)
    assert shared.ask("two", DAY).left == 50.0
    shared.ask("one", DAY, charge=30.0)
    assert shared.ask("two", DAY).left == 70.0


def test_a_dead_holders_leases_are_taken_as_used(shared: Shared) -> None:
    shared.ask("one", DAY, held=30.0)
    assert shared.ask("two", DAY).left == 70.0
    shared.sleep(OUT_SECONDS + 0.1)
    assert shared.ask("two", DAY).left == 70.0
    # Should it live after all, it says what it has, and what it has was there for nobody else.
    assert shared.ask("one", DAY, held=30.0).left == 40.0


def test_a_bucket_doesnt_fill_up_over_what_is_reserved(shared: Shared) -> None:
    """Or what is then given back would be there twice."""
    for _ in range(3):  # in time its holder tells it again
        assert shared.ask("one", RATE, reserved=60.0).left == 40.0
        shared.sleep(4.0)
    assert shared.ask("one", RATE, charge=10.0, at_once=False).left == 90.0


def test_what_a_dead_holder_reserved_is_there_again_and_was_never_a_debt(shared: Shared) -> None:
    shared.ask("one", RATE, reserved=1e9)
    assert shared.ask("two", RATE, need=1.0).granted == 0.0
    shared.sleep(OUT_SECONDS + 0.1)
    assert shared.ask("two", RATE).left == 100.0


def test_a_debt_is_at_most_one_bucket(shared: Shared) -> None:
    assert shared.ask("one", RATE, charge=1e18).left == -100.0
    shared.sleep(10.5)
    assert shared.ask("two", RATE, need=5.0).granted == 5.0


def test_a_clock_that_is_set_back_yields_nothing_and_goes_on(shared: Shared) -> None:
    shared.ask("one", RATE, need=100.0)
    shared.now -= 3600.0
    assert shared.ask("one", RATE, need=1.0).granted == 0.0
    shared.sleep(1.0)
    assert shared.ask("one", RATE, need=10.0).granted == 10.0


def test_a_budget_begins_anew_with_the_day(shared: Shared) -> None:
    assert shared.ask("one", DAY, need=80.0) == Grant(80.0, 20.0, 0.0, 12 * 3600.0)
    assert shared.ask("two", DAY, need=80.0).granted == 20.0
    shared.ask("one", DAY, charge=80.0)
    shared.sleep(12 * 3600.0)
    assert shared.ask("two", DAY, need=80.0).granted == 80.0


def test_a_budget_is_not_there_twice_when_the_clock_is_set_back_over_midnight(
    shared: Shared,
) -> None:
    shared.sleep(12 * 3600.0)
    shared.ask("one", DAY, charge=100.0)
    shared.wall -= 60.0
    assert shared.ask("one", DAY, need=1.0).granted == 0.0


@pytest.mark.parametrize("kind", ["day", "month"])
def test_a_budget_goes_by_the_clock_when_that_was_far_ahead_once(
    shared: Shared, kind: Kind
) -> None:
    terms = Terms(kind, 100.0)
    shared.wall += 400 * 86400.0
    shared.ask("one", terms, charge=30.0)
    shared.wall -= 400 * 86400.0

    assert shared.ask("one", terms)[1:] == (70.0, 0.0, period_end(kind, NOON) - NOON)
    shared.wall = period_end(kind, NOON)
    assert shared.ask("one", terms).left == 100.0


def test_what_was_used_of_a_budget_stays_used_when_it_is_raised(shared: Shared) -> None:
    shared.ask("one", DAY, charge=100.0)
    assert shared.ask("one", Terms("day", 150.0), need=100.0).granted == 50.0


def test_what_is_known_from_elsewhere_counts(shared: Shared) -> None:
    assert shared.ask("one", DAY, used=90.0, need=20.0).granted == 10.0


def test_advances_of_a_budget_are_a_part_of_what_is_left(shared: Shared) -> None:
    large = Terms("month", 10_000.0)
    assert shared.ask("one", large, want=5000.0).granted == 100.0
    assert shared.ask("two", large, want=5000.0).granted == pytest.approx(49.5)


def test_slots_are_told_as_they_are_and_never_more_than_there_are(shared: Shared) -> None:
    assert shared.ask("one", SLOTS, need=7.0).granted == 7.0
    assert shared.ask("two", SLOTS, need=7.0).granted == 3.0
    assert shared.ask("one", SLOTS, held=5.0).left == 2.0
    # The same again changes nothing: an answer may have been lost.
    assert shared.ask("one", SLOTS, held=5.0).left == 2.0
    assert shared.ask("two", SLOTS, held=3.0, need=7.0).granted == 2.0


def test_slots_of_a_dead_holder_come_back(shared: Shared) -> None:
    shared.ask("one", SLOTS, need=10.0)
    assert shared.ask("two", SLOTS, need=1.0).granted == 0.0
    shared.sleep(OUT_SECONDS + 0.1)
    assert shared.ask("two", SLOTS, need=1.0).granted == 1.0


def test_holders_are_those_who_were_heard_of_lately() -> None:
    ledger = Ledger()
    assert ledger.exchange("one", [], 0.0, 0.0).holders == 1
    assert ledger.exchange("two", [], 1.0, 1.0).holders == 2
    assert ledger.exchange("two", [], 2.0, 2.0).holders == 1


@pytest.mark.parametrize("kind", ["rate", "day", "slots"])
def test_records_that_nobody_needs_are_forgotten(kind: Kind) -> None:
    ledger = Ledger()
    terms = Terms(kind, 10.0, 1.0 if kind == "rate" else 0.0)
    for day in range(3):
        asks = [Ask(f"{day}/{i}", terms, need=1.0) for i in range(5000)]
        ledger.exchange("one", asks, day * 86400.0, day * 86400.0)
    assert len(ledger) <= 10_000


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
        (datetime(2026, 1, 31, 5, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
    ],
)
def test_months_end_where_the_calendar_says(moment: datetime, end: datetime) -> None:
    assert period_end("month", moment.timestamp()) == end.timestamp()
    assert month_starts(moment.timestamp())[1] == end.timestamp()
