"""What was used of budgets, in the store."""

from gateway.store.budgets import Spent
from gateway.store.engine import Store

NOW = 1000.0


def spent(key: str, used: float, *, period: str = "2026-11", until: float = 2000.0) -> Spent:
    return Spent("fraud/tenant/rows/month/0", period, key, used, until)


def read(store: Store, process: str = "nobody") -> tuple[dict[str, float], dict[str, float]]:
    """By key: what others used, and what the process itself did."""
    others, itself = store.budgets.read(NOW, process)
    return (
        {key: used for (_, _, key), used in others.items()},
        {key: used for (_, _, key), used in itself.items()},
    )


def test_what_processes_used_adds_up(store: Store) -> None:
    store.budgets.write("p/1", [spent("a", 1.5), spent("b", 2.0)])
    store.budgets.write("q/1", [spent("a", 4.0)])
    assert read(store) == ({"a": 5.5, "b": 2.0}, {})
    assert read(store, "q") == ({"a": 1.5, "b": 2.0}, {"a": 4.0})


def test_a_process_is_told_apart_with_all_of_its_numbers_from_every_other(store: Store) -> None:
    for process in ("p_1/1", "p_1/2", "p_12/1", "px1/1"):
        store.budgets.write(process, [spent(process, 1.0)])
    others, itself = read(store, "p_1")
    assert (set(others), set(itself)) == ({"p_12/1", "px1/1"}, {"p_1/1", "p_1/2"})


def test_what_is_written_again_counts_once(store: Store) -> None:
    for used in (1.0, 1.0, 3.0):
        store.budgets.write("p/1", [spent("a", used)])
    assert read(store) == ({"a": 3.0}, {})


def test_periods_that_are_over_are_not_read_and_then_forgotten(store: Store) -> None:
    store.budgets.write("p/1", [spent("a", 1.0, period="2026-10", until=NOW), spent("a", 2.0)])
    assert read(store) == ({"a": 2.0}, {})
    assert store.budgets.forget(NOW) == 1
    assert store.budgets.forget(NOW) == 0
