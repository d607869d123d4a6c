"""When keys are fetched and how long they count, in invented time."""

import random
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.jwks import KeySet
from policies.key_ring import ABSENT, COOLDOWN, MAX_ABSENT, KeyRing

ONE, BOTH = KeySet({"one": "key 1"}), KeySet({"one": "key 1", "two": "key 2"})
HOUR = 3600.0


def ring(refresh: float = 300.0, keep: float = 24 * HOUR) -> KeyRing:
    return KeyRing(refresh=refresh, keep=keep, rng=random.Random(7))


def fetched(keys: KeySet = ONE, at: float = 0.0) -> KeyRing:
    made = ring()
    made.begin(at)
    made.succeed(keys, at)
    return made


def fail(made: KeyRing, at: float) -> bool:
    made.begin(at)
    return made.fail(at)


def test_the_first_attempt_is_due_at_once() -> None:
    assert ring().due(1000.0) == 1000.0
    assert ring().ask("one", 1000.0)


def test_regular_attempts_are_spread_around_the_interval() -> None:
    due = [KeyRing(refresh=300.0, keep=HOUR, rng=random.Random(seed)) for seed in range(50)]
    for made in due:
        made.begin(0.0)
        made.succeed(ONE, 1.0)
    times = [made.due(2.0) for made in due]
    assert min(times) >= 270.0
    assert max(times) <= 330.0
    assert max(times) - min(times) > 30.0


def test_a_key_that_is_missing_is_looked_for_when_the_cooldown_is_over() -> None:
    made = fetched()
    assert not made.ask("two", 10.0)
    assert made.due(10.0) == COOLDOWN
    assert made.ask("two", COOLDOWN)


def test_an_id_that_was_looked_for_in_vain_asks_for_nothing_for_a_while() -> None:
    made = fetched()
    assert made.ask("two", 100.0)
    made.begin(100.0)
    made.succeed(ONE, 101.0)
    assert not made.ask("two", 101.0 + ABSENT - 1)
    assert made.due(101.0 + ABSENT - 1) > 300.0  # the regular one
    assert made.ask("two", 101.0 + ABSENT)


def test_an_id_that_comes_is_found() -> None:
    made = fetched()
    made.ask("two", 100.0)
    made.begin(100.0)
    assert made.succeed(BOTH, 101.0)
    assert made.find("two", 102.0) == "key 2"


def test_whoever_asks_during_an_attempt_waits_for_it() -> None:
    made = fetched()
    made.begin(500.0)
    assert made.ask("two", 500.1)


def test_a_token_without_an_id_asks_for_nothing_once_there_are_keys() -> None:
    assert not fetched(BOTH).ask(None, 1000.0)


def test_absent_ids_are_bounded() -> None:
    made = fetched()
    for turn in range(1, 4):
        for number in range(MAX_ABSENT * 2):
            made.ask(f"{turn}/{number}", turn * 100.0)
        made.begin(turn * 100.0)
        made.succeed(ONE, turn * 100.0)
    assert len(made._absent) == MAX_ABSENT
    assert not made._wanted


def test_failures_take_nothing_away_until_the_keys_are_too_old() -> None:
    made = fetched()
    for hour in range(1, 25):
        assert not fail(made, hour * HOUR)
        assert made.find("one", hour * HOUR) == "key 1"
    assert made.find("one", 24 * HOUR + 1) is None
    assert fail(made, 24 * HOUR + 1)
    assert made.age(24 * HOUR + 1) is None


def test_keys_count_from_when_they_were_asked_for() -> None:
    made = ring(keep=100.0)
    made.begin(0.0)
    made.succeed(ONE, 90.0)  # who knows how old the answer was
    assert made.find("one", 100.0)
    assert made.find("one", 101.0) is None


def test_after_a_failure_an_attempt_follows_in_the_cooldown() -> None:
    made = fetched()
    fail(made, 300.0)
    assert made.due(301.0) == 300.0 + COOLDOWN


def test_while_there_were_no_keys_yet_attempts_come_sooner_and_then_slow_down() -> None:
    made = ring()
    now, gaps = 0.0, []
    for _ in range(2000):
        fail(made, now)
        gaps.append(made.due(now) - now)
        now = made.due(now)
    assert gaps[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, COOLDOWN]
    assert set(gaps[6:]) == {COOLDOWN}


def test_the_same_keys_are_no_change() -> None:
    made = fetched()
    assert not made.succeed(KeySet({"one": "key 1"}), 10.0)


@dataclass
class World:
    """A fetcher that does what the ring says, at a server that fails now and then."""

    made: KeyRing
    attempts: list[float]

    def pass_time(self, now: float, works: bool) -> None:
        if self.made.due(now) <= now:
            self.attempts.append(now)
            self.made.begin(now)
            if works:
                self.made.succeed(ONE, now)
            else:
                self.made.fail(now)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0.0, 40.0), st.integers(0, 50), st.booleans()), max_size=120))
def test_no_flood_makes_attempts_come_sooner_than_the_cooldown(
    steps: list[tuple[float, int, bool]],
) -> None:
    world = World(fetched(), [0.0])
    now = 0.0
    for wait, kid, works in steps:
        now += wait
        for number in range(3):
            world.made.ask(f"{kid}/{number}", now)
        world.pass_time(now, works)
        assert world.made.find("one", now) == "key 1"  # an hour at most has passed
    # Times are added up and taken apart again, which isn't exact.
    assert all(later - earlier >= COOLDOWN - 1e-6 for earlier, later in pairwise(world.attempts))


@pytest.mark.parametrize("hours", [1.0, 23.0])
def test_an_hours_outage_under_a_flood(hours: float) -> None:
    world = World(fetched(), [])
    for second in range(1, int(hours * HOUR), 7):
        world.made.ask(f"kid-{second}", float(second))
        world.pass_time(float(second), works=False)
        assert world.made.find("one", float(second)) == "key 1"
    assert len(world.attempts) <= hours * HOUR / COOLDOWN + 1
