"""What tenants used, in the store."""

from datetime import UTC, datetime

from gateway.store.engine import Store
from gateway.store.usage import KEEP
from gateway.usage.value import Usage


def usage(day: str, tenant: str, model: str, requests: int) -> Usage:
    return Usage(day, tenant, model, requests, 2 * requests, 30, 40, 0.5)


def told(
    store: Store, *by: str, since: str = "2026-01-01", until: str = "2027-01-01"
) -> list[tuple[object, ...]]:
    found = store.usage.sum(since=since, until=until, by=by)
    return [(*(getattr(each, name) for name in by), each.requests) for each in found]


def test_sums_are_told_apart_by_what_is_asked(store: Store) -> None:
    store.usage.write("p/1", [usage("2026-11-01", "b", "m", 1), usage("2026-11-01", "a", "m", 2)])
    store.usage.write("q/1", [usage("2026-11-02", "a", "n", 4), usage("2026-11-02", "a", "m", 8)])
    assert told(store, "tenant", "model") == [("a", "m", 10), ("a", "n", 4), ("b", "m", 1)]
    assert told(store, "day") == [("2026-11-01", 3), ("2026-11-02", 12)]
    assert told(store, "tenant", since="2026-11-02") == [("a", 12)]
    assert told(store, "tenant", until="2026-11-02") == [("a", 2), ("b", 1)]
    assert told(store, "model", since="2026-12-01") == []


def test_a_sum_has_everything_that_is_counted(store: Store) -> None:
    for process in ("p/1", "p/2"):
        store.usage.write(process, [usage("2026-11-01", "a", "m", 3)])
    found = store.usage.sum(since="2026-11-01", until="2026-11-02", by=("tenant",))
    assert found == [Usage("", "a", "", 6, 12, 60, 80, 1.0)]


def test_what_a_process_tells_later_takes_the_place_of_what_it_told_before(store: Store) -> None:
    for requests in (1, 5, 5, 9):
        store.usage.write("p/1", [usage("2026-11-01", "a", "m", requests)])
    assert told(store, "tenant") == [("a", 9)]


def test_of_several_counts_in_a_batch_the_last_one_is_kept(store: Store) -> None:
    batch = [usage("2026-11-01", "a", "m", requests) for requests in (1, 2, 3)]
    store.usage.write("p/1", [*batch, usage("2026-11-01", "b", "m", 7)])
    assert told(store, "tenant") == [("a", 3), ("b", 7)]


def test_nothing_is_nothing(store: Store) -> None:
    store.usage.write("p/1", [])
    assert store.usage.sum(since="2026-01-01", until="2027-01-01", by=("day",)) == []


def test_usage_is_kept_for_a_year_and_a_month(store: Store) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
    oldest = f"{datetime.fromtimestamp(now - KEEP, UTC):%Y-%m-%d}"
    store.usage.write("p/1", [usage(oldest, "a", "m", 1), usage("2025-09-30", "a", "m", 1)])
    store.tidy(now, keep=60.0)
    assert told(store, "day", since="2020-01-01") == [(oldest, 1)]
