from dataclasses import replace

from gateway.store.engine import Store
from tests.gateway.store.store_records import EVENT, STATE


def test_a_state_is_read_as_it_was_written(store: Store) -> None:
    state = replace(STATE, reason="höher, ×1.2", before_pause="waiting", harm=True)
    assert store.rollouts.write(state, expected_version=None, fence=None, events=[EVENT])
    assert store.rollouts.get("fraud") == state
    assert store.rollouts.get("other") is None
    assert store.rollouts.all() == [state]


def test_states_are_ordered_by_route(store: Store) -> None:
    for route in ("b", "a", "c"):
        state = replace(STATE, route=route)
        store.rollouts.write(state, expected_version=None, fence=None, events=[])
    assert [state.route for state in store.rollouts.all()] == ["a", "b", "c"]


def test_a_state_is_written_only_over_the_version_that_it_was_made_from(store: Store) -> None:
    store.rollouts.write(STATE, expected_version=None, fence=None, events=[EVENT])
    second = replace(STATE, version=2)
    assert not store.rollouts.write(second, expected_version=0, fence=None, events=[EVENT])
    assert not store.rollouts.write(second, expected_version=None, fence=None, events=[EVENT])
    assert store.rollouts.get("fraud") == STATE
    assert store.rollouts.write(second, expected_version=1, fence=None, events=[EVENT])
    assert store.rollouts.get("fraud") == second


def test_a_change_and_its_audit_records_are_written_both_or_neither(store: Store) -> None:
    store.rollouts.write(STATE, expected_version=None, fence=None, events=[EVENT, EVENT])
    assert len(store.audit.read()) == 2
    store.rollouts.write(STATE, expected_version=7, fence=None, events=[EVENT])
    assert len(store.audit.read()) == 2


def test_only_the_present_leader_writes(store: Store) -> None:
    first = store.leader.hold("rollouts", "a", now=100.0, ttl=5.0)
    assert store.rollouts.write(STATE, expected_version=None, fence=first, events=[EVENT])
    second = store.leader.hold("rollouts", "b", now=106.0, ttl=5.0)
    changed = replace(STATE, version=2)
    assert not store.rollouts.write(changed, expected_version=1, fence=first, events=[EVENT])
    assert store.rollouts.get("fraud") == STATE
    assert len(store.audit.read()) == 1
    assert store.rollouts.write(changed, expected_version=1, fence=second, events=[EVENT])
