"""Many threads, bad inputs, cancellations and deadlines at once: each job is answered once."""

import random
import threading
import time

import pytest

from backends.batching.job import BatchPolicy
from protos.errors import Kind, PenstockError
from tests.backends.loops import WAIT, Echo, job, running, until

BAD = 7
POLICY = BatchPolicy(max_rows=8, sizes=(1, 2, 4, 8), max_queue_rows=100)


class Uneven(Echo):
    """Takes now and then a little longer, without the interpreter's lock."""

    def execute(self, staged):
        if len(self.batches) % 5 == 0:
            time.sleep(0.001)
        return super().execute(staged)


@pytest.mark.parametrize("seed", range(3))
def test_no_job_is_lost_or_answered_twice(seed):
    sent, refused, cancelled = {}, set(), set()
    with running(Uneven({BAD: RuntimeError()}), policy=POLICY) as (loop, inbox):

        def submit(number):
            rng = random.Random(f"{seed} {number}")
            for _ in range(300):
                values = [
                    rng.choice([BAD, *range(100, 200)]) for _ in range(rng.choice([1, 1, 2, 20]))
                ]
                one = job(
                    *values,
                    policy=POLICY,
                    timeout=rng.choice([0.002, 60.0]),
                    tenant=rng.choice("ab"),
                    priority=rng.randint(1, 3),
                    suspect=rng.random() < 0.05,
                )
                sent[one.id] = values
                try:
                    loop.submit(one)
                except PenstockError:
                    refused.add(one.id)
                    time.sleep(0.0005)
                    continue
                if rng.random() < 0.1:
                    cancelled.add(one.id)
                    loop.cancel(one.id)

        threads = [threading.Thread(target=submit, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        until(lambda: loop.report().in_flight == 0)
        report = loop.report()
    outcomes = inbox.finish()
    answered = [outcome.job.id for outcome in outcomes]
    assert len(answered) == len(set(answered))
    # Who was cancelled may have been answered just before.
    assert set(sent) - refused - cancelled <= set(answered) <= set(sent) - refused
    for outcome in outcomes:
        values = sent[outcome.job.id]
        if outcome.error is None:
            assert BAD not in values
            assert outcome.outputs["y"][:, 0].tolist() == values
        elif outcome.error.kind is Kind.MODEL_FAILED:
            assert BAD in values
        else:
            assert outcome.error.kind is Kind.DEADLINE
    assert report.queued_work == pytest.approx(0.0, abs=0.1)
