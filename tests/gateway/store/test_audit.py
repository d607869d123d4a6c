from dataclasses import replace

from gateway.store.engine import Store
from tests.gateway.store.store_records import EVENT


def test_events_are_read_as_written_the_newest_last(store: Store) -> None:
    events = [replace(EVENT, at=1000.0 + i, reason=f"reason {i}") for i in range(5)]
    for event in events:
        store.audit.append(event)
    assert store.audit.read() == events
    assert store.audit.read(limit=2) == events[-2:]
    assert store.audit.read(since=1003.0) == events[3:]


def test_events_of_one_route_are_read_alone(store: Store) -> None:
    other = replace(EVENT, route="other")
    store.audit.append(EVENT)
    store.audit.append(other)
    assert store.audit.read(route="other") == [other]
    assert store.audit.read(route="none") == []


def test_audit_records_outlive_the_telemetry(store: Store) -> None:
    store.audit.append(EVENT)
    store.tidy(now=EVENT.at + 1e9, keep=60.0)
    assert store.audit.read() == [EVENT]
