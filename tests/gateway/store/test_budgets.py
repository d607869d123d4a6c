"""What was used of budgets, in the store."""

from gateway.store.budgets import Spent
from gateway.store.engine import Store

NOW = 1000.0


def spent(key: str, used: float, *, period: str = "2026-11", until: float = 2000.0) -> Spent:
    return Spent("fraud/tenant/rows/month/0", period, key, used, until)


def read(store: Store, **but: str) -> dict[tuple[str, str], float]:
    return {
        (period, key): used for (_, period, key), used in store.budgets.read(NOW, **but).items()
    }


def test_what_processes_used_adds_up(store: Store) -> None:
    store.budgets.write("p/1", [spent("a", 1.5), spent("b", 2.0)])
    store.budgets.write("q/1", [spent("a", 4.0)])
    assert read(store) == {("2026-11", "a"): 5.5, ("2026-11", "b"): 2.0}
    assert read(store, but="q") == {("2026-11", "a"): 1.5, ("2026-11", "b"): 2.0}


def test_a_process_is_left_out_with_all_of_its_numbers_and_no_other(store: Store) -> None:
    for process in ("p_1/1", "p_1/2", "p_12/1", "px1/1"):
        store.budgets.write(process, [spent(process, 1.0)])
    assert set(read(store, but="p_1")) == {("2026-11", "p_12/1"), ("2026-11", "px1/1")}


def test_what_is_written_again_counts_once(store: Store) -> None:
    for used in (1.0, 1.0, 3.0):
        store.budgets.write("p/1", [spent("a", used)])
    assert read(store) == {("2026-11", "a"): 3.0}


def test_periods_that_are_over_are_not_read_and_then_forgotten(store: Store) -> None:
    store.budgets.write("p/1", [spent("a", 1.0, period="2026-10", until=NOW), spent("a", 2.0)])
    assert read(store) == {("2026-11", "a"): 2.0}
    assert store.budgets.forget(NOW) == 1
    assert store.budgets.forget(NOW) == 0
