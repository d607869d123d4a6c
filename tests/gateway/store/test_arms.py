from gateway.store.engine import Store
from routing.evidence.counts import ArmCounts
from tests.gateway.store.store_records import counted


def test_replicas_and_times_add_up_by_arm(store: Store) -> None:
    store.arms.add("a", 10.0, "fraud", "abc", {"stable": counted(0.01, 0.02, errors=1)})
    store.arms.add("a", 11.0, "fraud", "abc", {"stable": counted(0.01), "canary": counted(0.5)})
    store.arms.add("b", 10.0, "fraud", "", {"stable": counted(errors=2)})
    sums = store.arms.sum("fraud", 0.0)
    assert sums.keys() == {"stable", "canary"}
    assert (sums["stable"].requests, sums["stable"].errors) == (6, 3)
    assert sums["stable"].latency.counts == counted(0.01, 0.01, 0.02).latency.counts
    assert sums["canary"].latency.total == 1


def test_sums_begin_at_the_moment_asked_for(store: Store) -> None:
    for at in (10.0, 10.9, 11.0, 12.0):
        store.arms.add("a", at, "fraud", "", {"stable": counted(0.01)})
    assert [store.arms.sum("fraud", since)["stable"].requests for since in (10.5, 11, 12)] == [
        3,
        2,
        1,
    ]
    assert store.arms.sum("fraud", 13.0) == {}


def test_routes_are_summed_apart(store: Store) -> None:
    store.arms.add("a", 10.0, "fraud", "", {"stable": counted(0.01)})
    assert store.arms.sum("other", 0.0) == {}


def test_a_rollout_sums_its_own_requests(store: Store) -> None:
    for number, rollout in enumerate(("", "abc", "def", "abc")):
        store.arms.add("a", 10.0 + number, "fraud", rollout, {"stable": counted(0.01)})
    assert store.arms.sum("fraud", 0.0, rollout="abc")["stable"].requests == 2
    assert store.arms.sum("fraud", 12.0, rollout="abc")["stable"].requests == 1
    assert store.arms.sum("fraud", 0.0, rollout="ghi") == {}
    assert store.arms.sum("fraud", 0.0)["stable"].requests == 4


def test_the_same_counts_twice_are_there_once(store: Store) -> None:
    for _ in range(2):
        store.arms.add("a", 10.0, "fraud", "abc", {"stable": counted(0.01), "canary": ArmCounts()})
    assert store.arms.sum("fraud", 0.0)["stable"].requests == 1


def test_no_counts_are_nothing(store: Store) -> None:
    store.arms.add("a", 10.0, "fraud", "", {})
    assert store.arms.sum("fraud", 0.0) == {}


def test_old_counts_are_forgotten(store: Store) -> None:
    for at in (10.0, 11.0, 12.0):
        store.arms.add("a", at, "fraud", "", {"stable": counted(0.01)})
    assert store.arms.forget(11.0) == 1
    assert store.arms.sum("fraud", 0.0)["stable"].requests == 2
