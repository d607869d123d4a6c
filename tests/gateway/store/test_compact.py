from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import ceil
from random import Random

import pytest

from gateway.store.compact import compact
from gateway.store.engine import Store, open_store
from routing.rollout.state import TERMINAL, RolloutState, Status
from tests.gateway.store.store_records import STATE, counted, pair

NOW = 100_000.0
KEEP = 1e9


def fill(store: Store, rng: Random, span: float = 20_000.0) -> None:
    for _ in range(150):
        at = NOW - rng.random() * span
        latencies = [rng.random() for _ in range(rng.randrange(4))]
        arm = rng.choice(["stable", "canary"])
        store.arms.add("a", at, rng.choice(["fraud", "other"]), "abc", {arm: counted(*latencies)})
    records = [
        pair(NOW - rng.random() * span, differs=rng.random() < 0.5, noise=rng.choice([None, True]))
        for _ in range(300)
    ]
    for start in range(0, 300, 20):
        store.pairs.append(records[start : start + 20])


def sums(store: Store, arms_since: float, pairs_since: float) -> object:
    arms = store.arms.sum("fraud", arms_since)
    figures = {
        name: (each.requests, each.errors, sorted(each.latency.items()))
        for name, each in arms.items()
    }
    return figures, store.pairs.counts("fraud", since=pairs_since)


def test_totals_stay_the_same_in_fewer_rows(store: Store) -> None:
    fill(store, Random(1))
    before = sums(store, 0.0, 0.0)
    assert store.tidy(NOW, KEEP) > 200
    assert sums(store, 0.0, 0.0) == before


def test_again_there_is_nothing_to_do(store: Store) -> None:
    fill(store, Random(2))
    store.tidy(NOW, KEEP)
    assert store.tidy(NOW, KEEP) == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_rollouts_evidence_stays_exact(store: Store, seed: int) -> None:
    rng = Random(seed)
    since, weight_since = (NOW - rng.random() * 20_000 for _ in range(2))
    state = replace(STATE, since=since, weight_since=weight_since)
    store.rollouts.write(state, expected_version=None, fence=None, events=[])
    fill(store, rng)
    before = sums(store, weight_since, since)
    for later in (0.0, 5_000.0, 50_000.0):
        store.tidy(NOW + later, KEEP)
        assert sums(store, weight_since, since) == before


def test_the_last_minutes_stay_exact_whatever_is_asked(store: Store) -> None:
    rng = Random(4)
    fill(store, rng, span=100.0)
    moments = [NOW - rng.random() * 100 for _ in range(10)]
    before = [sums(store, moment, moment) for moment in moments]
    store.tidy(NOW, KEEP)
    assert [sums(store, moment, moment) for moment in moments] == before


@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_counted_exactly_from_any_moment(store: Store, seed: int) -> None:
    rng = Random(seed)
    fill(store, rng)
    moments = [NOW - rng.random() * 20_000 for _ in range(10)]
    before = [store.pairs.counts("fraud", since=moment) for moment in moments]
    store.tidy(NOW, KEEP)
    assert [store.pairs.counts("fraud", since=moment) for moment in moments] == before


def test_what_is_older_than_is_kept_is_forgotten(store: Store) -> None:
    fill(store, Random(5))
    store.tidy(NOW + 1e6, keep=60.0)
    assert store.arms.sum("fraud", 0.0) == {}
    assert list(store.pairs.read("fraud", since=0.0)) == []


KEPT = 3_600.0


def evidence(store: Store, state: RolloutState) -> tuple[int, int]:
    """Requests and pairs by which the rollout is judged."""
    arms = store.arms.sum("fraud", state.weight_since, rollout=state.id)
    pairs = store.pairs.counts("fraud", since=ceil(state.since), rollout=state.id)
    return sum(each.requests for each in arms.values()), pairs.compared


@pytest.mark.parametrize("ages", [(7_200.5, 7_100.0), (7_200.5, 10_000.0), (60.0, 7_200.0)])
def test_the_evidence_of_a_rollout_under_way_is_kept_however_old(
    store: Store, ages: tuple[float, float]
) -> None:
    since, weight_since = (NOW - age for age in ages)
    state = replace(STATE, since=since, weight_since=weight_since)
    store.rollouts.write(state, expected_version=None, fence=None, events=[])
    fill(store, Random(7))
    before = evidence(store, state)
    assert min(before) > 0
    for _ in range(2):  # the second finds what the first has summed up
        store.tidy(NOW, KEPT)
        assert evidence(store, state) == before
    assert all(each.at >= NOW - KEPT for each in store.pairs.read("fraud", since=0.0))


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_the_evidence_of_a_rollout_that_is_over_is_forgotten(store: Store, status: Status) -> None:
    state = replace(STATE, since=NOW - 7_200, weight_since=NOW - 7_200, status=status)
    store.rollouts.write(state, expected_version=None, fence=None, events=[])
    store.arms.add("a", NOW - 7_100, "fraud", "abc", {"stable": counted(0.01)})
    store.pairs.append([pair(NOW - 7_100)])
    store.tidy(NOW, KEPT)
    assert evidence(store, state) == (0, 0)


def test_of_other_rollouts_and_from_before_nothing_is_kept(store: Store) -> None:
    state = replace(STATE, since=NOW - 7_200, weight_since=NOW - 7_200)
    store.rollouts.write(state, expected_version=None, fence=None, events=[])
    for age in (7_100.0, 7_300.0):
        for rollout in ("", "abc", "def"):
            store.arms.add("a", NOW - age, "fraud", rollout, {"stable": counted(0.01)})
            store.pairs.append([pair(NOW - age, rollout=rollout)])
        store.arms.add("a", NOW - age, "other", "abc", {"stable": counted(0.01)})
    store.tidy(NOW, KEPT)
    assert store.arms.sum("fraud", 0.0)["stable"].requests == 1
    assert store.arms.sum("other", 0.0) == {}
    assert store.pairs.counts("fraud").sampled == 1
    assert evidence(store, state) == (1, 1)


def test_two_replicas_that_sum_up_at_once_double_nothing(url: str) -> None:
    stores = [open_store(url) for _ in range(3)]
    fill(stores[0], Random(6))
    before = sums(stores[0], 0.0, 0.0)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda each: compact(each._database, NOW), stores))
    assert sums(stores[0], 0.0, 0.0) == before
    for each in stores:
        each.close()
