import gc
import weakref

import pytest

from backends.batching.tenants import (
    CREDIT_BATCHES,
    MAX_RESTING,
    MOST_CREDIT,
    QUANTUM,
    SLACK,
    Tenants,
    prune,
)
from tests.backends.jobs import job, scheduler


def test_a_tenant_s_share_is_by_weight_among_those_who_have_work():
    tenants = Tenants({"gold": 3.0})
    gold = tenants.account("gold")
    gold.work = 1.0
    alone = tenants.ahead(gold)
    tenants.account("other")
    assert tenants.ahead(gold) - alone == pytest.approx(1.0 / 3.0)


@pytest.mark.parametrize(
    ("batch", "credit"), [(0.001, QUANTUM), (0.05, CREDIT_BATCHES * 0.05), (60.0, MOST_CREDIT)]
)
def test_rest_is_worth_a_few_batches_within_bounds(batch, credit):
    tenants = Tenants()
    tenants.took(batch)
    busy = tenants.account("busy")
    busy.used, busy.queue = 100.0, [[0.0, 0, "a job"]]
    tenants.leader()
    assert tenants.account("rested").used == pytest.approx(100.0 - credit)


def test_only_so_many_names_are_remembered():
    tenants = Tenants()
    for number in range(3 * MAX_RESTING):
        tenants.rest(tenants.account(f"tenant{number}"))
    assert len(tenants._resting) <= MAX_RESTING


def test_emptied_entries_do_not_pile_up():
    heap = [[1.0, number, None] for number in range(SLACK + 10)] + [[2.0, 0, "live"]]
    prune(heap, 1)
    assert heap == [[2.0, 0, "live"]]


def test_a_cancelled_job_s_inputs_are_not_kept_alive_by_the_queue():
    made = scheduler()
    made.add(job(timeout=1.0), 0.0)  # so that the queue is never empty
    gone = job(timeout=1000.0)
    made.add(gone, 0.0)
    made.cancel(gone.id)
    inputs = weakref.ref(gone.inputs["x"])
    gc.disable()
    try:
        del gone
        assert inputs() is None
    finally:
        gc.enable()
