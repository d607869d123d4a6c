"""Nothing that the pipeline loses is lost without a number."""

import asyncio
import threading

import pytest

from gateway.metrics import Totals
from gateway.pipeline import build
from gateway.routing_metrics import register
from gateway.store.recorder import Recorder
from policies.audit import Audit
from policies.cache.key import Keys
from policies.cache.memory import Memory
from policies.cache.stores import Stores
from policies.fair.settings import Fairness
from policies.limits.filter import Limits
from policies.limits.local import Local
from routing.endpoints import EndpointTable
from routing.poison import Poison
from routing.retry import Budget
from tests.gateway.telemetry.collected import collected


@pytest.fixture
def stuck():
    """A recorder whose store doesn't answer: two records wait, others are dropped."""
    answers = threading.Event()
    recorder = Recorder(lambda records: answers.wait(), capacity=2, batch=1, linger=60.0)
    yield recorder
    answers.set()
    recorder.close(5.0)


def pipeline():
    return build(
        EndpointTable(lambda address, key: None),
        Budget(0.0),
        worker="w",
        workers=1,
        total=30.0,
        idle=5.0,
        stores=Stores(Keys(bytes(16)), Memory(1024, lambda: 0.0), None, 1024),
        fairness=Fairness(),
        limits=Limits(Local(lambda: 0.0), lambda: 0.0, lambda: 0.0),
        audit=Audit(refuse=False, writable=lambda: True),
        privacy_key=lambda: bytes(16),
        sample=print,
        models=None,
        decided=lambda request, code, now: None,
        record=lambda record: True,
        copied=lambda *_: None,
        poison=Poison(),
        clock=lambda: 0.0,
        call_soon=asyncio.get_running_loop().call_soon,
        call_at=asyncio.get_running_loop().call_at,
    )


def values(totals):
    return {
        sample.name: sample.value
        for family in collected(totals.families())
        for sample in family.samples
        if not sample.labels
    }


async def test_records_that_are_dropped_are_counted_by_what_they_are(stuck):
    built, totals = pipeline(), Totals()
    pairs = Recorder(lambda records: None, capacity=2, batch=1, linger=60.0)
    register(totals, built, pairs, stuck)
    for _ in range(5):
        stuck.put("a decision")
    pairing = built.mirror.pairing
    pairing.overflowed, pairing.failed = 2, 3
    found = values(totals)
    assert found["penstock_decision_records_dropped_total"] == 3
    assert found["penstock_decision_records_written_total"] == 0
    assert found["penstock_shadow_records_dropped_total"] == 5
    pairs.close(5.0)


async def test_without_decision_records_there_is_no_count_of_them(stuck):
    built, totals = pipeline(), Totals()
    register(totals, built, stuck, None)
    assert not [name for name in values(totals) if "decision" in name]
