"""What a process is about to need of a limit, by what it was asked for."""

import pytest

from policies.leases.demand import AHEAD, FADES, Demand
from policies.leases.terms import LEASE_SECONDS

RATE = 100.0


def used(amount):
    """After a lease's time in which so many requests came."""
    demand = Demand(0.0)
    demand.wished = demand.taken = amount
    demand.takes = int(amount)
    assert demand.want(RATE, LEASE_SECONDS) == pytest.approx(AHEAD * amount)
    return demand


@pytest.mark.parametrize("looks", [1, 2, 4])
def test_it_fades_with_time_however_often_it_is_looked_at(looks):
    demand = used(20.0)
    for look in range(1, looks + 1):
        wanted = demand.want(RATE, LEASE_SECONDS * (1 + 4 * look / looks))
    assert wanted == pytest.approx(AHEAD * 20.0 * FADES**4)


def test_who_is_asked_for_nothing_soon_wants_nothing():
    assert used(20.0).want(RATE, 11 * LEASE_SECONDS) == 0.0


def test_what_comes_in_a_long_time_counts_by_the_lease():
    demand = used(1.0)
    demand.wished = demand.taken = 20.0
    demand.takes = 20
    assert demand.want(RATE, 11 * LEASE_SECONDS) == pytest.approx(AHEAD * 2.0)
