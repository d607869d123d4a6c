"""What several processes admit together: never more than was promised, nor much less."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.leases.terms import LEASE_SECONDS
from protos.route.policies import Limit
from tests.policies.leases.simulated_holders import Line, Simulation, limit

rates = st.sampled_from([3, 20, 100, 1000, 5000])
bursts = st.sampled_from([1, 10, 200, 5000])
loads = st.lists(st.sampled_from([0.0, 5.0, 100.0, 3000.0]), min_size=1, max_size=4)
seeds = st.integers(0, 2**32)


def most(of: Limit, seconds: float, holders: int, losses: int = 0) -> float:
    """What may be admitted from a full bucket in so many seconds.

    Credits of all holders are one lease, of those that died one each. A holder that doesn't hear
    from the ledger admits its share, of what was left first, until it does.
    """
    assert of.requests is not None
    rate, size = of.requests.per_second, float(of.burst or of.requests.amount)
    lease = max(1.0, rate * LEASE_SECONDS)
    return size + rate * seconds + (holders + losses) * lease + (size if losses else 0.0) + 1


@settings(deadline=None, max_examples=25)
@given(rates, bursts, loads, st.sampled_from([0.0, 0.001, 0.02]), seeds)
def test_what_all_admit_is_the_limit_and_a_lease_at_most(
    rate: int, burst: int, loads: list[float], delay: float, seed: int
) -> None:
    of = limit(requests=f"{rate}/s", burst=burst)
    mesh = Simulation(of, loads, Line(delay), seed)
    for _ in range(3):
        mesh.run(0.5)
        assert mesh.admitted <= most(of, mesh.now - 1000.0, 1)


@settings(deadline=None, max_examples=25)
@given(rates, bursts, loads, st.sampled_from([0.05, 0.5]), seeds)
def test_every_lost_message_costs_a_lease_at_most(
    rate: int, burst: int, loads: list[float], loss: float, seed: int
) -> None:
    of = limit(requests=f"{rate}/s", burst=burst)
    mesh = Simulation(of, loads, Line(0.002, loss), seed)
    mesh.run(1.5)
    assert mesh.admitted <= most(of, 1.5, len(loads), mesh.lost)


@settings(deadline=None, max_examples=15)
@given(rates, bursts, loads, seeds)
def test_processes_that_die_take_their_leases_with_them(
    rate: int, burst: int, loads: list[float], seed: int
) -> None:
    of = limit(requests=f"{rate}/s", burst=burst)
    mesh = Simulation(of, loads, Line(0.002), seed)
    for turn in range(6):
        mesh.run(0.25)
        mesh.replace(turn % len(loads))
    assert mesh.admitted <= most(of, 1.5, mesh.starts)


@settings(deadline=None, max_examples=15)
@given(rates, bursts, loads, st.lists(st.floats(-100.0, 1.0), max_size=4), seeds)
def test_a_clock_that_is_set_yields_what_it_is_set_forward(
    rate: int, burst: int, loads: list[float], steps: list[float], seed: int
) -> None:
    of = limit(requests=f"{rate}/s", burst=burst)
    mesh = Simulation(of, loads, Line(0.002), seed)
    for step in steps:
        mesh.run(0.3)
        mesh.clock_offset += step
    mesh.run(0.3)
    forward = sum(max(0.0, step) for step in steps)
    assert mesh.admitted <= most(of, mesh.now - 1000.0 + forward, 1)


@pytest.mark.parametrize(
    "loads", [[5000.0, 5000.0], [9500.0, 500.0], [10_000.0, 0.0, 0.0, 0.0], [500.0] * 20]
)
def test_under_overload_all_of_the_limit_is_used_however_the_load_is_spread(
    loads: list[float],
) -> None:
    mesh = Simulation(limit(requests="1000/s", burst=100), loads, Line(0.001), 1)
    mesh.run(1.0)
    before = mesh.admitted
    mesh.run(4.0)
    assert 4000 * 0.97 <= mesh.admitted - before <= 4000 * 1.03


@pytest.mark.parametrize("loads", [[450.0, 450.0], [800.0, 50.0, 50.0], [900.0, 0.0, 0.0]])
def test_below_the_limit_nobody_is_refused_and_hardly_anybody_waits(loads: list[float]) -> None:
    mesh = Simulation(limit(requests="1000/s", burst=1000), loads, Line(0.001), 1)
    mesh.run(5.0)
    assert sum(each.refused for each in mesh.holders) == 0
    assert sum(each.waited for each in mesh.holders) <= 0.01 * mesh.admitted


def test_a_burst_at_one_process_gets_all_that_is_there() -> None:
    mesh = Simulation(limit(requests="10/s", burst=300), [0.0, 0.0, 0.0], Line(0.0), 1)
    mesh.run(0.5)
    mesh.holders[0].load = 400 / 0.002  # 400 requests in one step
    mesh.run(0.002)
    mesh.holders[0].load = 0.0
    mesh.run(0.2)
    assert 300 <= mesh.admitted <= 303


def test_a_limit_too_small_to_be_shared_is_asked_for_and_exact() -> None:
    mesh = Simulation(limit(requests="2/s", burst=4), [100.0, 100.0], Line(0.002), 1)
    mesh.run(10.0)
    assert 22 <= mesh.admitted <= 24
    # Refusals are remembered until there may be something again.
    assert sum(each.waited for each in mesh.holders) < 200


def test_while_the_ledger_is_lost_each_process_admits_its_share() -> None:
    mesh = Simulation(limit(requests="1000/s", burst=100), [5000.0, 5000.0], Line(0.001), 1)
    mesh.run(2.0)
    mesh.reachable = False
    mesh.run(0.5)
    before = mesh.admitted
    mesh.run(2.0)
    assert 2000 * 0.95 <= mesh.admitted - before <= 2000 * 1.05
    mesh.reachable = True
    mesh.run(0.5)
    before = mesh.admitted
    mesh.run(2.0)
    assert 2000 * 0.95 <= mesh.admitted - before <= 2000 * 1.05


def test_idle_processes_give_back_what_they_have() -> None:
    mesh = Simulation(limit(requests="1000/s", burst=100), [900.0, 900.0], Line(0.001), 1)
    mesh.run(1.0)
    for holder in mesh.holders:
        holder.load = 0.0
    mesh.run(8.0)
    assert [repr(each.lessee) for each in mesh.holders] == [
        "<Lessee holder-1: 0 leases>",
        "<Lessee holder-2: 0 leases>",
    ]
