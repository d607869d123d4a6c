from dataclasses import replace
from math import inf, isnan, nan

import pytest
from sqlalchemy import event, update

from gateway.store import pairs as module
from gateway.store.compact import compact
from gateway.store.engine import Store, open_store
from gateway.store.schema import pairs
from routing.evidence.counts import PairCounts
from routing.shadow.record import Outcome, PairRecord, Side
from tests.gateway.store.store_records import PAIR, pair


def read(store: Store, **bounds: float) -> list[PairRecord]:
    return list(store.pairs.read("fraud", since=bounds.pop("since", 0.0), **bounds))


def test_a_record_is_read_as_it_was_written(store: Store) -> None:
    failed = replace(
        PAIR,
        at=1000.5,
        request_id="r2",
        status="candidate_failed",
        candidate=Side(0.5, error="lost"),
        outcome=Outcome(None, reason="the candidate failed"),
        noise=None,
        payloads='{"primary": "été"}',
    )
    store.pairs.append([PAIR, failed])
    assert read(store) == [PAIR, failed]


def test_measures_that_are_not_finite_are_kept(store: Store) -> None:
    store.pairs.append([replace(PAIR, outcome=Outcome(False, inf, {"cosine": nan}))])
    (found,) = read(store)
    assert found.outcome.distance == inf
    assert isnan(found.outcome.measures["cosine"])


@pytest.mark.parametrize("odd", ["a\0b", "a\ud800b"])
def test_letters_that_no_database_takes_are_replaced(store: Store, odd: str) -> None:
    store.pairs.append([replace(PAIR, request_id=odd, tenant=odd)])
    (found,) = read(store)
    assert (found.request_id, found.tenant) == ("a\ufffdb", "a\ufffdb")


def test_hostile_text_stays_text(store: Store) -> None:
    text = "'; DROP TABLE penstock_pairs; -- 𝄞"
    store.pairs.append([replace(PAIR, tenant=text, shape=text)])
    assert read(store)[0].tenant == text


def test_records_are_read_in_the_order_of_time_within_the_bounds(store: Store) -> None:
    for number, at in enumerate((3.0, 1.0, 2.0, 2.0, 4.0)):
        store.pairs.append([pair(at, request_id=f"{number}")])
    assert [record.at for record in read(store)] == [1.0, 2.0, 2.0, 3.0, 4.0]
    assert [record.at for record in read(store, since=2.0, until=4.0)] == [2.0, 2.0, 3.0]


def test_a_long_read_goes_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 7)
    store.pairs.append([pair(float(i // 3), request_id=f"{i}") for i in range(50)])
    assert [record.request_id for record in read(store)] == [f"{i}" for i in range(50)]


def test_routes_and_mirrors_are_read_apart(store: Store) -> None:
    other = replace(PAIR, route="other")
    second = replace(PAIR, mirror="second")
    store.pairs.append([PAIR, other, second])
    assert read(store) == [PAIR, second]
    assert list(store.pairs.read("fraud", mirror="second", since=0.0)) == [second]
    assert store.pairs.counts("fraud").sampled == 2
    assert store.pairs.counts("fraud", mirror="second").sampled == 1
    assert store.pairs.routes() == ["fraud", "other"]


def test_pairs_are_counted_by_what_differed(store: Store) -> None:
    differences = [(True, True), (True, False), (False, True), (False, False), (True, None)]
    differences += [(False, None)] * 2
    store.pairs.append([pair(1.0 + i, differs=d, noise=n) for i, (d, n) in enumerate(differences)])
    assert store.pairs.counts("fraud") == PairCounts(1, 1, 1, 1, 1, 2, sampled=7)


def test_what_could_not_be_compared_is_sampled_unless_the_primary_failed(store: Store) -> None:
    statuses = ["candidate_failed", "incomparable", "dropped", "primary_failed"]
    store.pairs.append([pair(float(i), differs=None, status=s) for i, s in enumerate(statuses)])
    assert store.pairs.counts("fraud") == PairCounts(sampled=3)


def test_a_noise_that_could_not_be_compared_was_not_measured(store: Store) -> None:
    store.pairs.append([replace(pair(1.0, differs=True), noise=Outcome(None))])
    assert store.pairs.counts("fraud") == PairCounts(alone_differ=1, sampled=1)


@pytest.mark.parametrize("since", [0.0, 10.0, 10.2, 10.25, 10.3, 11.0, 11.5, 13.0])
def test_counts_begin_at_the_very_moment(store: Store, since: float) -> None:
    times = [9.9, 10.0, 10.2, 10.25, 10.26, 10.99, 11.0, 11.5, 12.0]
    store.pairs.append([pair(at) for at in times])
    assert store.pairs.counts("fraud", since=since).compared == sum(at >= since for at in times)


def test_a_rollout_counts_its_own_pairs(store: Store) -> None:
    store.pairs.append([pair(1.5), pair(1.6, rollout=""), pair(1.7, rollout="def")])
    assert store.pairs.counts("fraud", rollout="abc").compared == 1
    assert store.pairs.counts("fraud", rollout="abc", since=1.2).compared == 1
    assert store.pairs.counts("fraud").compared == 3


def test_counts_are_of_one_moment_though_others_sum_up_meanwhile(url: str) -> None:
    store, other = open_store(url), open_store(url)
    for second in range(60):
        store.pairs.append([pair(second + 0.5)])
    asked = 0

    def sums_up(*_: object) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            assert compact(other._database, 1_000.0) > 0

    event.listen(store._database, "after_cursor_execute", sums_up)
    assert store.pairs.counts("fraud", since=30.25, rollout="abc").compared == 30
    assert asked > 1
    assert store.pairs.counts("fraud").compared == 60
    for each in (store, other):
        each.close()


def test_the_same_batch_twice_is_there_once(store: Store) -> None:
    batch = [pair(1.0), pair(2.0, differs=True)]
    store.pairs.append(batch)
    store.pairs.append(batch)
    assert len(read(store)) == 2
    assert store.pairs.counts("fraud").compared == 2


def test_an_empty_batch_is_nothing(store: Store) -> None:
    store.pairs.append([])
    assert store.pairs.counts("fraud") == PairCounts()


def test_old_records_are_forgotten(store: Store) -> None:
    store.pairs.append([pair(float(at)) for at in range(10)])
    assert store.pairs.forget(6.0) == 6
    assert [record.at for record in read(store)] == [6.0, 7.0, 8.0, 9.0]
    assert store.pairs.counts("fraud").compared == 4


@pytest.mark.parametrize("content", ["", "[", "5", "{}", '{"noise": null, "primary": [1, 2, 3]}'])
def test_rows_that_somebody_changed_are_left_out_and_told(
    store: Store, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.pairs.append([PAIR, replace(PAIR, at=PAIR.at + 1)])
    with store._database.begin() as connection:
        changed = update(pairs).where(pairs.c.at == PAIR.at + 1).values(detail=content)
        connection.execute(changed)
    assert read(store) == [PAIR]
    assert "1 pairs in the record store can't be read" in caplog.text
