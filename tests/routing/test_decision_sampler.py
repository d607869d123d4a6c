from collections import Counter
from hashlib import blake2b
from random import Random

import pytest

from routing.decision_sampler import Kept, Sampler

Traffic = list[tuple[float, bytes]]


def unit(name: object) -> bytes:
    return blake2b(repr(name).encode(), digest_size=16).digest()


def traffic(rng: Random, seconds: float, rates: dict[object, float]) -> Traffic:
    """Requests of users at such rates a second, in order."""
    found = [
        (rng.random() * seconds, unit(user))
        for user, rate in rates.items()
        for _ in range(round(rate * seconds))
    ]
    return sorted(found)


def run(requests: Traffic, per_second: float = 50.0) -> list[tuple[float, bytes, Kept]]:
    sampler = Sampler(per_second, Random(7).random)
    kept = ((now, user, sampler.keep(user, now)) for now, user in requests)
    return [(now, user, each) for now, user, each in kept if each is not None]


def many(count: int, rate: float) -> dict[object, float]:
    return dict.fromkeys(range(count), rate)


def test_quiet_routes_are_recorded_wholly() -> None:
    requests = traffic(Random(1), 60.0, many(40, 1.0))
    records = run(requests)
    assert len(records) == len(requests)
    assert {kept for _, _, kept in records} == {Kept(1.0, True)}


@pytest.mark.parametrize(
    "rates",
    [many(3000, 0.5), many(20, 100.0), {"service": 2000.0}, {"service": 900.0, **many(500, 1.0)}],
    ids=["many users", "some hot users", "one user", "one hot user among many"],
)
def test_no_more_records_are_kept_than_aimed_at_whoever_makes_the_requests(
    rates: dict[object, float],
) -> None:
    records = run(traffic(Random(2), 30.0, rates))
    later = [now for now, _, _ in records if now >= 10.0]
    assert 10 <= len(later) / 20.0 <= 60
    assert len(records) <= 50 * 30 + 2 * 250  # the first windows know nothing yet


def test_users_are_kept_as_a_whole() -> None:
    requests = traffic(Random(3), 40.0, many(2000, 0.5))
    records = run(requests)
    late = Counter(user for now, user in requests if now >= 20.0)
    kept = Counter(user for now, user, _ in records if now >= 20.0)
    weights = {each for now, _, each in records if now >= 20.0}
    assert len(weights) <= 2  # the threshold may still move by a half
    least = min(weight for weight, _ in weights)
    for user, count in kept.items():
        if int.from_bytes(user, "big") * 2 * least < 2**128:
            assert count == late[user]


def test_a_lower_threshold_keeps_a_subset() -> None:
    requests = traffic(Random(4), 60.0, many(400, 0.5)) + [
        (60.0 + at, user) for at, user in traffic(Random(5), 60.0, many(400, 5.0))
    ]
    records = run(requests)
    busy = {user for now, user, _ in records if now > 80.0}
    quiet = {user for now, user, _ in records if 20.0 < now < 60.0}
    assert busy < quiet


@pytest.mark.parametrize(
    "rates", [many(1500, 0.5), {"service": 300.0, "other": 100.0, **many(300, 0.5)}]
)
def test_weights_estimate_all_requests(rates: dict[object, float]) -> None:
    truth = estimate = 0.0
    for seed in range(8):
        named = {(seed, user): rate for user, rate in rates.items()}
        requests = traffic(Random(seed), 30.0, named)
        truth += len(requests)
        estimate += sum(kept.weight for _, _, kept in run(requests))
    assert estimate == pytest.approx(truth, rel=0.12)


def test_a_hot_user_is_drawn_request_by_request() -> None:
    records = run(traffic(Random(6), 30.0, {"service": 1000.0, **many(20, 0.5)}))
    late = {(user, kept) for now, user, kept in records if now > 15.0}
    of_service = [kept for user, kept in late if user == unit("service")]
    assert of_service
    assert all(not kept.whole and kept.weight > 10 for kept in of_service)
    assert all(kept.whole for user, kept in late if user != unit("service"))


def test_memory_is_bounded_whatever_users_come() -> None:
    sampler = Sampler(50.0, Random(8).random)
    for number in range(20_000):
        sampler.keep(unit(number), number * 1e-4)
    assert len(sampler._counts) <= 2000


def test_after_a_quiet_hour_it_records_again() -> None:
    requests = traffic(Random(9), 20.0, many(2000, 1.0))
    requests += [(3600.0 + at, user) for at, user in traffic(Random(10), 20.0, many(20, 0.5))]
    records = run(requests)
    assert sum(now > 3610.0 for now, _, _ in records) == sum(at > 3610.0 for at, _ in requests)
