"""All leases of a process: who is asked about, what is told, and what is done without a ledger."""

import pytest

from policies.leases.leased import LOST_WAIT
from policies.leases.terms import LEASE_SECONDS
from policies.limits.allowance import LimitId
from tests.policies.leases.processes import KEY, Machine, Process, limit


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_without_a_ledger_a_process_admits_its_share_of_what_was_left(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(requests="1/h", burst=100)
    first, second = one.of(of), two.of(of)
    for process, allowance in ((one, first), (two, second)):
        for _ in range(20):
            assert process.admit(allowance)
        machine.sleep(LEASE_SECONDS)
        one.exchange()
        two.exchange()
    machine.reachable = False

    # As far as each knew: the first was told before the second took anything.
    assert sum(one.admit(first) for _ in range(100)) == 40
    assert sum(two.admit(second) for _ in range(100)) == 30
    assert one.lessee.lost
    # A key that nobody has asked for yet has a share of all of it.
    assert sum(one.admit(first, key="bank") for _ in range(100)) == 50


def test_what_was_used_without_a_ledger_is_told_to_it_later(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(budget={"every": "day", "requests": 100})
    first, second = one.of(of), two.of(of)
    assert one.admit(first)
    assert two.admit(second)
    machine.reachable = False
    machine.sleep(LEASE_SECONDS)
    assert sum(one.admit(first) for _ in range(30)) == 30
    machine.reachable = True
    for _ in range(3):
        machine.sleep(LEASE_SECONDS)
        one.exchange()

    assert not one.lessee.lost
    assert sum(two.admit(second) for _ in range(100)) == 68


def test_without_a_ledger_limits_refuse_that_say_so(machine: Machine) -> None:
    one = Process(machine, "one")
    strict = one.of(limit(requests="100/s", onStateLost="refuse"))
    assert one.admit(strict)
    machine.reachable = False
    machine.sleep(LEASE_SECONDS)
    one.exchange()
    assert strict.wait(KEY, 1.0, machine.now) == LOST_WAIT

    machine.reachable = True
    one.lessee.hurry(strict._leases[KEY])  # type: ignore[attr-defined]
    strict._leases[KEY].need(1.0)  # type: ignore[attr-defined]
    one.exchange()
    assert one.admit(strict)


def test_over_admission_is_counted_by_limit(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(requests="100/s", burst=10)
    first, second = one.of(of), two.of(of)
    for process, allowance in ((one, first), (two, second)):  # each believes it is alone
        while allowance.wait(KEY, 1.0, machine.now) == 0.0:
            allowance.take(KEY, 1.0, machine.now)
        process.exchange()
    assert two.admit(second) is False or two.lessee.over_admitted == {}
    third = Process(machine, "three")
    greedy = third.of(of)
    for _ in range(5):
        greedy.take(KEY, 1.0, machine.now)
    third.exchange()

    assert third.lessee.over_admitted == {LimitId("fraud", "tenant/requests", 0): 5.0}


def test_leases_that_are_not_used_are_not_looked_at(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(requests="100/s"))
    for key in range(50):
        assert one.admit(allowance, key=f"tenant-{key}")
    for _ in range(30):
        machine.sleep(LEASE_SECONDS)
        one.exchange()
    assert one.exchange() == 0
    assert repr(one.lessee) == "<Lessee one: 0 leases>"
    machine.sleep(10.0)
    one.exchange()
    assert allowance.idle(machine.now)


def test_large_batches_are_told_in_pieces(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(requests="100/s"))
    for key in range(600):
        allowance.take(f"tenant-{key}", 1.0, machine.now)

    batches = one.lessee.due(machine.now, machine.wall, all_=True)

    assert [len(each.asks) for each in batches] == [256, 256, 88]


def test_a_process_that_ends_gives_everything_back(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(requests="1000/1h", burst=1000)
    first, second = one.of(of), two.of(of)
    for _ in range(100):
        assert one.admit(first)
    one.exchange()
    one.lessee.retire()
    machine.sleep(LEASE_SECONDS)
    one.exchange()

    assert sum(two.admit(second) for _ in range(1000)) == 900
