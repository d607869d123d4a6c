"""Slots that processes have of a limit of concurrency."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.leases.terms import LEASE_SECONDS, OUT_SECONDS
from tests.policies.leases.processes import KEY, Machine, Process, limit


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_slots_are_shared_and_come_back(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(concurrency=3)
    first, second = one.of(of), two.of(of)
    assert [one.admit(first) for _ in range(2)] == [True, True]
    assert [two.admit(second) for _ in range(2)] == [True, False]

    first.settle(KEY, 1.0, 0.0, machine.now, machine.now)
    for _ in range(2):  # a slot is kept for one exchange, should it be needed again
        machine.sleep(LEASE_SECONDS)
        one.exchange()
    assert two.admit(second)


def test_slots_of_a_process_that_died_are_free_again(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(concurrency=2)
    first, second = one.of(of), two.of(of)
    assert one.admit(first)
    assert one.admit(first)
    assert not two.admit(second)
    machine.sleep(OUT_SECONDS + 1.0)

    assert two.admit(second)


def test_slots_that_are_used_for_long_stay_taken(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(concurrency=2)
    first, second = one.of(of), two.of(of)
    assert one.admit(first)
    assert one.admit(first)
    for _ in range(100):
        machine.sleep(LEASE_SECONDS)
        one.exchange()

    assert not two.admit(second)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), max_size=60))
def test_slots_never_leak_nor_are_there_more(moves: list[tuple[int, bool, bool]]) -> None:
    machine = Machine()
    processes = [Process(machine, f"{i}") for i in range(3)]
    allowances = [each.of(limit(concurrency=4)) for each in processes]
    under_way = [0, 0, 0]
    for which, begins, passes in moves:
        if begins:
            under_way[which] += processes[which].admit(allowances[which])
        elif under_way[which]:
            allowances[which].settle(KEY, 1.0, 0.0, machine.now, machine.now)
            under_way[which] -= 1
        assert sum(under_way) <= 4
        if passes:
            machine.sleep(LEASE_SECONDS)
            for process in processes:
                process.exchange()
    for which in range(3):
        for _ in range(under_way[which]):
            allowances[which].settle(KEY, 1.0, 0.0, machine.now, machine.now)
    for _ in range(2):
        machine.sleep(LEASE_SECONDS + 0.01)
        for process in processes:
            process.exchange()
    assert [processes[0].admit(allowances[0]) for _ in range(5)] == [True] * 4 + [False]
