"""What processes have of the budget of a day or month."""

from math import inf

import pytest

from policies.leases.terms import LEASE_SECONDS
from policies.limits.allowance import NEVER, LimitId
from policies.limits.elsewhere import Elsewhere
from tests.policies.leases.processes import KEY, Machine, Process, limit


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_budget_is_shared_to_its_last_request(machine: Machine) -> None:
    processes = [Process(machine, name) for name in ("one", "two", "three")]
    of = limit(budget={"every": "day", "requests": 100})
    allowances = [each.of(of) for each in processes]

    admitted = 0
    for turn in range(200):
        process, allowance = processes[turn % 3], allowances[turn % 3]
        admitted += process.admit(allowance)
        machine.sleep(0.01)
        process.exchange()
    assert admitted == 100
    assert allowances[0].wait(KEY, 1.0, machine.now) > 3600.0


def test_a_budget_of_device_seconds_passes_while_something_is_left(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(budget={"every": "day", "deviceSeconds": 10}))
    for _ in range(5):
        assert one.admit(allowance, 0.0)
        allowance.settle(KEY, 0.0, 2.5, machine.now, machine.now)
        machine.sleep(LEASE_SECONDS)
        one.exchange()
        if allowance.left(KEY, machine.now) <= 0:
            break
    assert allowance.left(KEY, machine.now) == pytest.approx(0.0)
    assert not one.admit(allowance, 0.0)


def test_a_new_day_has_a_new_budget(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(budget={"every": "day", "requests": 1}))
    assert one.admit(allowance)
    begun = machine.now
    assert not one.admit(allowance)
    machine.sleep(12 * 3600.0)

    assert one.admit(allowance)
    # What was taken yesterday isn't given back today.
    allowance.settle(KEY, 1.0, 0.0, begun, machine.now)
    assert not one.admit(allowance)


def test_more_than_a_budget_has_is_never_there(machine: Machine) -> None:
    one = Process(machine, "one")
    budget = one.of(limit(budget={"every": "day", "rows": 10}))

    assert budget.wait(KEY, 11.0, machine.now) == NEVER == inf


def test_what_was_used_before_a_ledger_began_counts(machine: Machine) -> None:
    elsewhere = Elsewhere()
    day = "2023-11-14"
    place = (str(LimitId("fraud", "tenant/requests/day", 0)), day, KEY)
    elsewhere.learn({place: 3.0}, {place: 5.0})  # what this process told counts as well
    one = Process(machine, "one", elsewhere=elsewhere)
    of = limit(budget={"every": "day", "requests": 10})
    allowance = one.of(of, "tenant/requests/day")

    assert [one.admit(allowance) for _ in range(4)] == [True, True, False, False]


def test_a_raised_budget_keeps_what_was_used(machine: Machine) -> None:
    one = Process(machine, "one")
    before = one.of(limit(budget={"every": "day", "requests": 3}))
    assert [one.admit(before) for _ in range(4)] == [True, True, True, False]
    machine.sleep(1.1)

    after = one.of(limit(budget={"every": "day", "requests": 5}))
    assert [one.admit(after) for _ in range(3)] == [True, True, False]


def test_yesterdays_reservation_is_not_given_back_to_todays_budget(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(budget={"every": "day", "tokens": 1000})
    first, second = one.of(of), two.of(of)
    machine.sleep(12 * 3600.0 - 5.0)
    assert one.admit(first, 500.0)
    begun = machine.now
    for _ in range(200):  # until long after midnight, so that what nobody uses is forgotten
        machine.sleep(LEASE_SECONDS)
        one.exchange()
    assert two.admit(second, 800.0)
    first.settle(KEY, 500.0, 10.0, begun, machine.now)
    for _ in range(2):
        machine.sleep(LEASE_SECONDS)
        one.exchange()
        two.exchange()

    assert second.left(KEY, machine.now) == pytest.approx(200.0)
