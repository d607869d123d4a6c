from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest

from gateway.store.compact import compact
from gateway.store.engine import Store, open_store
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


def test_two_replicas_that_sum_up_at_once_double_nothing(url: str) -> None:
    stores = [open_store(url) for _ in range(3)]
    fill(stores[0], Random(6))
    before = sums(stores[0], 0.0, 0.0)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda each: compact(each._database, NOW), stores))
    assert sums(stores[0], 0.0, 0.0) == before
    for each in stores:
        each.close()
