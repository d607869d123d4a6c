"""Ten times more work than the device can do, on a simulated clock: what must not be lost."""

import random
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

import pytest

from backends.batching.job import BatchPolicy
from protos.errors import Kind, PenstockError
from tests.backends.jobs import job, rows_of, scheduler

POLICY = BatchPolicy(max_rows=8, max_queue_rows=4096)
BATCH = 0.016  # seconds, whatever is in it
CAPACITY = POLICY.max_rows / BATCH


@dataclass
class Run:
    """What became of the requests: `late` were executed for nothing, `good` are seconds."""

    accepted: int = 0
    good: list[float] = field(default_factory=list)
    late: int = 0
    dropped: int = 0
    by_tenant: dict[str, int] = field(default_factory=dict)


def simulate(seconds, timeout, arrivals, jitter=0.1, seed=0):
    """Open-loop load; `arrivals` are (requests a second, tenant, priority).

    The device executes one batch and has one more prepared, as the device loop does; a batch takes
    BATCH give or take the jitter, and now and then half as long again.
    """
    rng = random.Random(seed)
    made = scheduler(POLICY, base=BATCH)
    run = Run()
    upcoming = []
    for rate, tenant, priority in arrivals:
        at = rng.expovariate(rate)
        while at < seconds:
            upcoming.append((at, tenant, priority))
            at += rng.expovariate(rate)
    upcoming.sort(reverse=True)
    executing, staged, ends, started = None, None, inf, 0.0

    def drop(outcomes):
        assert all(outcome.error.kind is Kind.DEADLINE for outcome in outcomes)
        run.dropped += len(outcomes)

    def begin(batch, now):
        nonlocal executing, ends, started
        executing, started = batch, now
        took = BATCH * rng.uniform(1 - jitter, 1 + jitter) * (1.5 if rng.random() < 0.02 else 1)
        ends = now + took if batch is not None else inf

    while upcoming or executing is not None:
        arrives = upcoming[-1][0] if upcoming else inf
        now = min(arrives, ends)
        if now == arrives:
            _, tenant, priority = upcoming.pop()
            one = job(now=now, timeout=timeout, tenant=tenant, priority=priority)
            with suppress(PenstockError):
                made.add(one, now)
                run.accepted += 1
        else:
            for outcome in made.settle(executing, rows_of(executing), started, now, now - started):
                if now <= outcome.job.deadline:
                    run.good.append(now - outcome.job.arrival)
                    tenant = outcome.job.tenant
                    run.by_tenant[tenant] = run.by_tenant.get(tenant, 0) + 1
                else:
                    run.late += 1
            executing = None
            if staged is not None:
                decision = made.begin(staged, now)
                staged = None
                drop(decision.dropped)
                begin(decision.batch, now)
        if executing is None:
            decision = made.next_batch(now)
            drop(decision.dropped)
            begin(decision.batch, now)
        elif staged is None:
            decision = made.next_batch(now, ahead=True)
            drop(decision.dropped)
            staged = decision.batch
    return run


# Where three batches fill the deadline, one slow batch in fifty makes as many late.
@pytest.mark.parametrize(("timeout", "late"), [(0.05, 0.03), (0.2, 0.01), (1.0, 0.01)])
def test_goodput_stays_at_capacity_and_the_admitted_are_in_time(timeout, late):
    run = simulate(4.0, timeout, [(10 * CAPACITY, "a", 2)])
    assert len(run.good) >= 0.9 * CAPACITY * 4.0
    assert run.late <= late * (len(run.good) + run.late)


def test_hardly_anything_is_admitted_in_vain():
    run = simulate(4.0, 0.2, [(10 * CAPACITY, "a", 2)])
    assert run.dropped <= 0.05 * len(run.good)


def test_a_tenant_within_its_share_is_served_beside_one_that_floods():
    run = simulate(4.0, 0.2, [(10 * CAPACITY, "loud", 2), (0.2 * CAPACITY, "quiet", 2)])
    assert run.by_tenant["quiet"] >= 0.95 * 0.2 * CAPACITY * 4.0
    assert sum(run.by_tenant.values()) >= 0.9 * CAPACITY * 4.0


def test_a_load_that_the_device_can_bear_is_served_completely():
    run = simulate(4.0, 0.2, [(0.8 * CAPACITY, "a", 2)])
    assert len(run.good) == run.accepted >= 0.75 * CAPACITY * 4.0
