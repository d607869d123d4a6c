"""What processes have of a bucket: on credit, in advance, reserved, and in debt."""

import pytest

from policies.leases.terms import LEASE_SECONDS, OUT_SECONDS
from policies.limits.allowance import ASK
from tests.policies.leases.processes import KEY, Machine, Process, limit


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_the_first_requests_wait_for_nobody(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(requests="100/s"))

    assert [allowance.wait(KEY, 1.0, machine.now) for _ in range(3)] == [0.0] * 3
    for _ in range(10):  # a lease's worth on credit
        assert allowance.wait(KEY, 1.0, machine.now) == 0.0
        allowance.take(KEY, 1.0, machine.now)
    assert allowance.wait(KEY, 1.0, machine.now) == ASK


def test_credit_is_divided_by_those_who_have_it(machine: Machine) -> None:
    one = Process(machine, "one", holders=5)
    allowance = one.of(limit(requests="100/s"))

    taken = 0
    while allowance.wait(KEY, 1.0, machine.now) == 0.0:
        allowance.take(KEY, 1.0, machine.now)
        taken += 1
    assert taken == 2


def test_what_is_left_of_all_of_it_is_told(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(requests="1/h", burst=50)
    first, second = one.of(of), two.of(of)
    for _ in range(20):
        assert one.admit(first)

    assert two.admit(second)
    assert second.left(KEY, machine.now) == pytest.approx(29.0)


def test_a_refusal_is_remembered_until_its_reset(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(requests="6/1m", burst=1))
    assert one.admit(allowance)
    assert not one.admit(allowance)

    assert allowance.wait(KEY, 1.0, machine.now) == pytest.approx(10.0)
    machine.sleep(9.0)
    assert allowance.wait(KEY, 1.0, machine.now) == pytest.approx(1.0)
    machine.sleep(1.1)
    assert one.admit(allowance)


def test_keys_are_apart(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(requests="6/1m", burst=1))

    assert one.admit(allowance, key="acme")
    assert one.admit(allowance, key="bank")
    assert not one.admit(allowance, key="acme")


def test_what_was_reserved_is_held_until_it_is_settled(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(tokens="10/s", burst=1000)
    first, second = one.of(of), two.of(of)
    assert one.admit(first, 1000.0)
    begun = machine.now

    for _ in range(100):  # time fills up nothing, the bucket would be full but for what is held
        machine.sleep(1.0)
        one.exchange()
    assert not two.admit(second, 500.0)
    first.settle(KEY, 1000.0, 100.0, begun, machine.now)
    one.exchange()
    machine.sleep(1.1)  # what may have come back is asked for again
    assert two.admit(second, 900.0)


def test_what_was_used_beyond_what_was_taken_is_a_debt(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(tokens="10/s", burst=100))
    assert one.admit(allowance, 50.0)
    allowance.settle(KEY, 50.0, 250.0, machine.now, machine.now)
    one.exchange()

    assert allowance.left(KEY, machine.now) == pytest.approx(-100.0)  # a bucket's at most
    assert not one.admit(allowance, 1.0)


def test_a_request_for_more_than_a_bucket_has_waits_for_a_full_one(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(tokens="10/s", burst=100))

    assert one.admit(allowance, 300.0)
    assert not one.admit(allowance, 1.0)


def test_what_a_process_that_died_had_reserved_keeps_nobody_waiting(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(tokens="1000/1h")
    first, second = one.of(of), two.of(of)
    assert one.admit(first, 1000.0)
    for _ in range(5):
        machine.sleep(LEASE_SECONDS)
        one.exchange()
    assert not two.admit(second, 100.0)
    machine.sleep(OUT_SECONDS + 0.1)  # it isn't heard of any more

    assert two.admit(second, 1000.0)


@pytest.mark.parametrize("amount", [2.0**50, 2.0**62, 2.0**63 - 1, 1e300])
def test_no_reservation_is_so_large_that_it_counts_for_nothing(
    machine: Machine, amount: float
) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(tokens="1000/1h")
    first, second = one.of(of), two.of(of)
    assert one.admit(first, amount)
    begun = machine.now
    machine.sleep(LEASE_SECONDS)
    one.exchange()
    assert not two.admit(second, 1.0)
    first.settle(KEY, amount, 600.0, begun, machine.now)
    one.exchange()

    assert first.left(KEY, machine.now) == pytest.approx(400.0, abs=0.1)
    machine.sleep(1.1)
    assert not two.admit(second, 500.0)
    assert two.admit(second, 400.0)


def test_no_use_is_so_large_that_others_wait_for_more_than_two_buckets(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(tokens="10/s", burst=100))
    assert one.admit(allowance, 100.0)
    allowance.settle(KEY, 100.0, 1e18, machine.now, machine.now)
    for _ in range(102):
        machine.sleep(0.1)
        one.exchange()

    assert one.admit(allowance, 1.0)


def test_lost_messages_lose_no_reservation(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(tokens="1/1h", burst=1000)
    first, second = one.of(of), two.of(of)
    assert one.admit(first, 900.0)
    begun = machine.now
    machine.reachable = False
    for _ in range(3):
        machine.sleep(LEASE_SECONDS)
        one.exchange()
    machine.reachable = True
    first.settle(KEY, 900.0, 0.0, begun, machine.now)
    for _ in range(2):
        machine.sleep(LEASE_SECONDS)
        one.exchange()

    assert two.admit(second, 1000.0)
