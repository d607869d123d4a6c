from concurrent.futures import ThreadPoolExecutor

from gateway.store.engine import Store, open_store
from gateway.store.leader import Fence


def test_one_leads_until_its_time_is_over(store: Store) -> None:
    assert store.leader.hold("rollouts", "a", 100.0, 5.0) == Fence("rollouts", "a", 1)
    assert store.leader.hold("rollouts", "b", 104.9, 5.0) is None
    assert store.leader.hold("rollouts", "b", 105.0, 5.0) == Fence("rollouts", "b", 2)
    assert store.leader.hold("rollouts", "a", 106.0, 5.0) is None


def test_the_holder_renews_without_a_new_epoch(store: Store) -> None:
    for now in (100.0, 103.0, 107.0, 200.0):  # the last one after its time, but nobody took it
        assert store.leader.hold("rollouts", "a", now, 5.0) == Fence("rollouts", "a", 1)
    assert store.leader.hold("rollouts", "b", 204.0, 5.0) is None


def test_the_epoch_grows_with_each_change_of_holder(store: Store) -> None:
    holders = ["a", "b", "a", "c", "c", "a"]
    fences = [store.leader.hold("x", h, 100.0 + 10 * i, 5.0) for i, h in enumerate(holders)]
    assert [fence and fence.epoch for fence in fences] == [1, 2, 3, 4, 4, 5]


def test_names_are_led_apart(store: Store) -> None:
    assert store.leader.hold("x", "a", 100.0, 5.0) == Fence("x", "a", 1)
    assert store.leader.hold("y", "b", 100.0, 5.0) == Fence("y", "b", 1)


def test_a_lease_from_before_the_clock_was_put_back_ends_when_it_is_not_renewed(
    store: Store,
) -> None:
    store.leader.hold("rollouts", "a", 3700.0, 5.0)
    assert store.leader.hold("rollouts", "b", 100.0, 5.0) is None
    assert store.leader.hold("rollouts", "b", 104.0, 5.0) is None
    assert store.leader.hold("rollouts", "b", 105.0, 5.0) == Fence("rollouts", "b", 2)


def test_a_lease_that_is_renewed_is_not_taken_whatever_the_clocks_say(store: Store) -> None:
    for second in range(20):
        assert store.leader.hold("rollouts", "a", 3700.0 + second, 5.0) is not None
        assert store.leader.hold("rollouts", "b", 100.0 + second, 5.0) is None


def test_of_many_who_ask_at_once_one_leads(url: str) -> None:
    stores = [open_store(url) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        for round_ in range(5):
            asked = [
                pool.submit(
                    stores[i % 4].leader.hold, "rollouts", f"{round_}/{i}", 100.0 * round_, 5.0
                )
                for i in range(16)
            ]
            fences = [fence for each in asked if (fence := each.result()) is not None]
            assert [fence.epoch for fence in fences] == [round_ + 1]
    for each in stores:
        each.close()
