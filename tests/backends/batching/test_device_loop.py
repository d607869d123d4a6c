import logging
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from backends.batching.batch import Reason
from backends.batching.desk import Desk
from backends.batching.device_loop import DeviceLoop
from backends.batching.job import BatchPolicy
from protos.errors import Kind, PenstockError
from tests.backends.loops import (
    ECHO,
    KEY,
    POLICY,
    STREAM,
    WAIT,
    Echo,
    Gated,
    Inbox,
    job,
    running,
    until,
)


def values(outcome):
    return outcome.outputs["y"][:, 0].tolist()


def by_job(outcomes):
    return {outcome.job.id: outcome for outcome in outcomes}


def start_and_hold(loop, runtime, *jobs):
    """Submits the jobs, the first of which is executing when this returns."""
    loop.submit(jobs[0])
    assert runtime.entered.acquire(timeout=WAIT)
    for each in jobs[1:]:
        loop.submit(each)


# Batches


def test_a_job_is_executed_and_answered():
    with running(Echo()) as (loop, inbox):
        sent = job(7, 8)
        loop.submit(sent)
        (outcome,) = inbox.take(1)
    assert outcome.job is sent
    assert outcome.final
    assert outcome.executed
    assert values(outcome) == [7, 8]
    assert outcome.batch_rows == 2
    assert outcome.queue >= 0
    assert outcome.compute >= 0


def test_batches_grow_while_the_device_is_busy_and_come_back_together():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        start_and_hold(loop, runtime, job(1), job(2), job(3), job(4))
        runtime.let.release(2)
        inbox.take(4)
    assert runtime.batches == [[1], [2, 3, 4]]
    assert inbox.deliveries == [1, 3]


def test_a_full_batch_is_staged_while_another_executes():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        start_and_hold(loop, runtime, job(1), *[job(value) for value in (2, 3, 4, 5)])
        until(lambda: len(runtime.staged_by) == 2)
        assert runtime.batches == []
        runtime.let.release(2)
        inbox.take(5)
    assert runtime.batches == [[1], [2, 3, 4, 5]]
    assert runtime.staged_by == ["device", "staging"]


def test_a_batch_is_not_staged_long_before_the_device_is_free_so_that_who_is_due_is_still_in_it():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        first = job(1, tenant="noisy")
        loop.cost.observe(KEY, first.bucket, 1, 3600.0)  # seconds
        noisy = [job(value, tenant="noisy") for value in (2, 3, 4, 5)]
        start_and_hold(loop, runtime, first, *noisy, job(6, tenant="quiet"))
        runtime.let.release(3)
        inbox.take(6)
    assert 6 in runtime.batches[1]
    assert runtime.staged_by[:2] == ["device", "device"]


def test_a_batch_that_can_grow_is_not_staged():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        start_and_hold(loop, runtime, job(1), job(2))
        runtime.let.release(2)
        inbox.take(2)
    assert runtime.staged_by == ["device", "device"]


def test_an_oversize_request_gets_one_answer():
    with running(Echo()) as (loop, inbox):
        loop.submit(job(*range(11)))
        (outcome,) = inbox.take(1)
        assert values(outcome) == list(range(11))
    assert inbox.finish() == []


def test_several_threads_may_submit_and_nothing_is_lost():
    with running(Echo()) as (loop, inbox):
        sent = {}

        def submit(first):
            for value in range(first, first + 200):
                one = job(value)
                sent[one.id] = value
                loop.submit(one)

        threads = [threading.Thread(target=submit, args=(n * 1000,)) for n in range(4)]
        for thread in threads:
            thread.start()
        found = by_job(inbox.take(800))
        for thread in threads:
            thread.join()
    assert {number: values(outcome) for number, outcome in found.items()} == {
        number: [value] for number, value in sent.items()
    }


# Failures


def test_one_bad_input_fails_alone_and_its_neighbours_are_answered(caplog):
    runtime = Gated({13: RuntimeError("secret of the tenant")})
    with running(runtime) as (loop, inbox), caplog.at_level(logging.WARNING):
        bad, *good = job(13), job(1), job(2), job(3)
        start_and_hold(loop, runtime, job(0), good[0], bad, *good[1:])
        runtime.let.release(100)
        found = by_job(inbox.take(5))
    error = found.pop(bad.id).error
    assert error.kind is Kind.MODEL_FAILED
    assert "secret" not in error.message
    assert error.message.split()[-1] in caplog.text
    assert "RuntimeError" in caplog.text
    assert "execute" in caplog.text
    assert "secret" not in caplog.text
    assert all(outcome.error is None for outcome in found.values())


@pytest.mark.parametrize("raised", [SystemExit(1), KeyboardInterrupt(), MemoryError()])
def test_whatever_a_model_raises_the_device_lives_on(raised):
    with running(Echo({13: raised})) as (loop, inbox):
        loop.submit(job(13))
        assert inbox.take(1)[0].error.kind is Kind.MODEL_FAILED
        loop.submit(job(1))
        assert values(inbox.take(1)[0]) == [1]


def test_an_error_that_names_the_input_passes_through():
    error = PenstockError(Kind.INVALID, 'inputs "x": 13 is unlucky')
    with running(Echo({13: error})) as (loop, inbox):
        loop.submit(job(13))
        assert inbox.take(1)[0].error is error


def test_a_reply_with_too_few_rows_is_a_bad_reply():
    class Short(Echo):
        def execute(self, staged):
            return {"y": staged["x"][:-1]}

    with running(Short()) as (loop, inbox):
        loop.submit(job(1, 2))
        assert inbox.take(1)[0].error.kind is Kind.BAD_REPLY


def test_a_receiver_that_fails_does_not_stop_the_device(caplog):
    failed, arrived = threading.Event(), threading.Event()

    def deliver(outcomes):
        if not failed.is_set():
            failed.set()
            raise RuntimeError("the event loop is closed")
        arrived.set()

    loop = DeviceLoop(deliver)
    loop.start()
    loop.add_model(KEY, Echo(), ECHO, POLICY)
    loop.submit(job(1))
    assert failed.wait(WAIT)
    loop.submit(job(2))
    assert arrived.wait(WAIT)
    assert loop.stop(drain=True, timeout=WAIT)
    assert "could not be delivered" in caplog.text


# Deadlines and cancelling


def test_a_late_job_is_answered_while_the_device_is_still_busy():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        late = job(2, timeout=0.05)
        start_and_hold(loop, runtime, job(1), late)
        (outcome,) = inbox.take(1)
        assert runtime.batches == []
    assert outcome.job is late
    assert outcome.error.kind is Kind.DEADLINE
    assert not outcome.executed


def test_no_batch_starts_a_job_that_became_late_while_it_was_staged():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        late = job(2, timeout=0.1)
        start_and_hold(loop, runtime, job(1), late, job(3), job(4), job(5))
        until(lambda: len(runtime.staged_by) == 2)
        until(lambda: time.monotonic() > late.deadline)
        runtime.let.release(2)
        found = by_job(inbox.take(5))
    assert found[late.id].error.kind is Kind.DEADLINE
    assert not found[late.id].executed
    assert runtime.batches == [[1], [3, 4, 5]]


def test_a_cancelled_job_that_waits_is_never_executed():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        gone, stays = job(2), job(3)
        start_and_hold(loop, runtime, job(1), gone, stays)
        loop.cancel(gone.id)
        runtime.let.release(2)
        assert len(inbox.take(2)) == 2
    assert runtime.batches == [[1], [3]]
    assert inbox.finish() == []


def test_the_result_for_a_cancelled_job_is_dropped():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        gone, next_one = job(1), job(2)
        start_and_hold(loop, runtime, gone)
        loop.cancel(gone.id)
        loop.submit(next_one)
        runtime.let.release(2)
        assert inbox.take(1)[0].job is next_one
    assert inbox.finish() == []


# Streams


class Parts(Echo):
    """Streams as many parts as the input says; `closed` is set when one ends early."""

    def __init__(self):
        super().__init__()
        self.order = []
        self.closed = threading.Event()
        self.parameters = None

    def stream(self, inputs, parameters):
        self.parameters = parameters
        name = int(inputs["x"][0, 0])
        try:
            for number in range(int(inputs["x"][1, 0])):
                self.order.append(name)
                yield {"y": np.full(4, number, np.int64)}
        except GeneratorExit:
            self.closed.set()
            raise


ALONE = replace(POLICY, max_rows=0)


def stream_job(name, parts, **fields):
    return job(name, parts, policy=ALONE, **{"streaming": True, "credit": 1 << 20, **fields})


def test_every_part_is_delivered_and_then_the_end():
    runtime = Parts()
    with running(runtime, STREAM) as (loop, inbox):
        loop.submit(stream_job(1, 3, parameters={"temperature": 1}))
        outcomes = inbox.take(4)
    assert [outcome.final for outcome in outcomes] == [False, False, False, True]
    assert [int(outcome.outputs["y"][0]) for outcome in outcomes[:3]] == [0, 1, 2]
    assert outcomes[3].outputs is None
    assert outcomes[3].error is None
    assert runtime.parameters == {"temperature": 1}


def test_streams_advance_in_turns_and_batches_between_them():
    runtime, gate = Parts(), threading.Event()
    with running(runtime, STREAM) as (loop, inbox):
        loop.add_model(("batched", "1"), Echo(), ECHO, POLICY)
        loop.call(lambda: gate.wait(WAIT))
        first, second, batched = (
            stream_job(1, 50),
            stream_job(2, 50),
            job(9, model=("batched", "1")),
        )
        for each in (first, second, batched):
            loop.submit(each)
        gate.set()
        outcomes = inbox.take(103)
    assert sorted(runtime.order[2:12]) == [1] * 5 + [2] * 5
    assert [outcome.job for outcome in outcomes[:10]].count(batched) == 1


def test_a_stream_without_credit_pauses_until_more_is_granted():
    runtime = Parts()
    with running(runtime, STREAM) as (loop, inbox):
        sent = stream_job(1, 3, credit=33)  # a part has 32 bytes
        loop.submit(sent)
        inbox.take(2)
        loop.call(lambda: None).result(WAIT)
        assert runtime.order == [1, 1]
        loop.add_credit(sent.id, 1000)
        assert inbox.take(2)[-1].final


def test_credit_that_is_granted_while_a_part_is_made_counts():
    class Granting(bytes):
        """A text of ten bytes, whose reader grants ten more at the moment that it is counted."""

        def __len__(self):
            loop.add_credit(sent.id, 10)
            return 10

    class Texts(Parts):
        def stream(self, inputs, parameters):
            for _ in range(3):
                yield {"y": np.array([Granting()], object)}

    with running(Texts(), STREAM) as (loop, inbox):
        sent = stream_job(1, 3, credit=5)
        loop.submit(sent)
        assert inbox.take(4)[-1].final


def test_who_does_not_stream_needs_no_credit():
    with running(Parts(), STREAM) as (loop, inbox):
        loop.submit(stream_job(1, 3, credit=0, streaming=False))
        assert inbox.take(4)[-1].final


def test_a_cancelled_stream_is_closed_and_silent():
    runtime = Parts()
    with running(runtime, STREAM) as (loop, inbox):
        sent = stream_job(1, 1000, credit=1)
        loop.submit(sent)
        inbox.take(1)
        loop.cancel(sent.id)
        assert runtime.closed.wait(WAIT)
        until(lambda: loop.report().in_flight == 0)
    assert inbox.finish() == []


def test_a_paused_stream_ends_at_its_deadline():
    runtime = Parts()
    with running(runtime, STREAM) as (loop, inbox):
        loop.submit(stream_job(1, 1000, credit=1, timeout=0.1))
        _, end = inbox.take(2)
    assert end.final
    assert end.error.kind is Kind.DEADLINE
    assert end.executed
    assert runtime.closed.is_set()


def test_a_stream_that_fails_ends_with_the_error():
    class Failing(Parts):
        def stream(self, inputs, parameters):
            yield {"y": np.zeros(1, np.int64)}
            raise RuntimeError("no")

    with running(Failing(), STREAM) as (loop, inbox):
        loop.submit(stream_job(1, 3))
        part, end = inbox.take(2)
    assert not part.final
    assert end.error.kind is Kind.MODEL_FAILED


@pytest.mark.parametrize(
    "part",
    [
        {"y": np.zeros(1, np.int64), "finish_reason": "stop"},
        {"y": np.array([None], object)},
        {"y": np.array([b"text", 7], object)},
        {7: np.zeros(1, np.int64)},
        [np.zeros(1, np.int64)],
    ],
)
def test_a_part_that_is_no_part_ends_its_own_stream_only(part):
    closed = threading.Event()

    class Odd(Parts):
        def stream(self, inputs, parameters):
            try:
                yield part
            finally:
                closed.set()

    with running(Odd(), STREAM) as (loop, inbox):
        loop.submit(stream_job(1, 1))
        end = inbox.take(1)[0]
        assert end.final
        assert end.error.kind is Kind.BAD_REPLY
        assert closed.is_set()
        loop.add_model(("other", "1"), Echo(), ECHO, POLICY)
        loop.submit(job(5, model=("other", "1")))
        assert values(inbox.take(1)[0]) == [5]


def test_parts_of_text_may_be_bytes_or_strings():
    class Texts(Parts):
        def stream(self, inputs, parameters):
            yield {"y": np.array(["text", b"text"], object)}

    with running(Texts(), STREAM) as (loop, inbox):
        loop.submit(stream_job(1, 1))
        part, end = inbox.take(2)
    assert part.outputs["y"].tolist() == ["text", b"text"]
    assert end.error is None


def test_there_are_only_so_many_streams_at_once():
    with running(Parts(), STREAM, BatchPolicy(max_queue_rows=4)) as (loop, inbox):
        for number in range(4):
            loop.submit(stream_job(number, 9, credit=1))
            inbox.take(1)
        with pytest.raises(PenstockError) as caught:
            loop.submit(stream_job(5, 9))
        assert caught.value.kind is Kind.OVERLOADED


# Models


def test_a_model_that_is_not_there_is_refused():
    with running(Echo()) as (loop, _), pytest.raises(PenstockError) as caught:
        loop.submit(job(1, model=("other", "1")))
    assert caught.value.kind is Kind.UNAVAILABLE


def test_removing_waits_for_the_work_and_refuses_new():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        start_and_hold(loop, runtime, job(1), job(2))
        remover = threading.Thread(target=loop.remove_model, args=(KEY,))
        remover.start()

        def refused():
            try:
                loop.submit(job(3))
            except PenstockError as error:
                return error.kind is Kind.UNAVAILABLE
            return False

        until(refused)
        assert remover.is_alive()
        runtime.let.release(100)
        remover.join(WAIT)
        assert not remover.is_alive()
        assert all(outcome.error is None for outcome in inbox.take(2))


def test_removing_without_draining_answers_what_waits():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        first, waiting = job(1), job(2)
        start_and_hold(loop, runtime, first, waiting)
        remover = threading.Thread(target=loop.remove_model, args=(KEY,), kwargs={"drain": False})
        remover.start()
        (refused,) = inbox.take(1)
        runtime.let.release()
        remover.join(WAIT)
        (answered,) = inbox.take(1)
    assert refused.job is waiting
    assert refused.error.kind is Kind.UNAVAILABLE
    assert not refused.executed
    assert answered.job is first
    assert answered.error is None


def test_a_new_runtime_takes_over_the_queue_and_the_old_one_ends_what_it_began():
    old, new = Gated(), Echo()
    with running(old) as (loop, inbox):
        start_and_hold(loop, old, job(1), job(2))
        loop.add_model(KEY, new, ECHO, POLICY)
        released = threading.Event()

        def release():
            loop.release(old)
            released.set()

        threading.Thread(target=release).start()
        assert not released.wait(0.02)
        old.let.release()
        assert released.wait(WAIT)
        inbox.take(2)
    assert (old.batches, new.batches) == ([[1]], [[2]])


def test_a_replaced_runtime_lives_until_its_streams_have_ended():
    old = Parts()
    with running(old, STREAM) as (loop, inbox):
        sent = stream_job(1, 3, credit=1)
        loop.submit(sent)
        inbox.take(1)
        loop.add_model(KEY, Parts(), STREAM, POLICY)
        released = threading.Thread(target=loop.release, args=(old,))
        released.start()
        assert released.is_alive()
        loop.add_credit(sent.id, 1000)
        released.join(WAIT)
        assert not released.is_alive()
        assert inbox.take(3)[-1].final


def test_removing_ends_streams_that_outlast_the_limit():
    runtime = Parts()
    with running(runtime, STREAM) as (loop, inbox):
        paused = stream_job(1, 1000, credit=1)
        loop.submit(paused)
        inbox.take(1)
        loop.remove_model(KEY, limit=0.05)
        (end,) = inbox.take(1)
    assert end.final
    assert end.error.kind is Kind.UNAVAILABLE
    assert runtime.closed.is_set()


def test_releasing_ends_only_the_old_runtimes_streams():
    old, new = Parts(), Parts()
    with running(old, STREAM) as (loop, inbox):
        first, second = stream_job(1, 1000, credit=1), stream_job(2, 1000, credit=1)
        loop.submit(first)
        inbox.take(1)
        loop.add_model(KEY, new, STREAM, POLICY)
        loop.submit(second)
        inbox.take(1)
        loop.release(old, limit=0.05)
        (end,) = inbox.take(1)
        assert end.job is first
        assert end.error.kind is Kind.UNAVAILABLE
        loop.add_credit(second.id, 1)
        loop.add_credit(second.id, 100)
        assert inbox.take(1)[0].error is None


def test_calls_run_between_batches_when_nothing_is_staged():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        start_and_hold(loop, runtime, job(1), *[job(value) for value in (2, 3, 4, 5)])
        until(lambda: len(runtime.staged_by) == 2)
        seen = loop.call(lambda: (threading.current_thread().name, list(runtime.batches)))
        runtime.let.release(2)
        assert seen.result(WAIT) == ("device", [[1], [2, 3, 4, 5]])
        inbox.take(5)


def test_a_call_s_error_is_its_own():
    with running(Echo()) as (loop, _):
        with pytest.raises(ZeroDivisionError):
            loop.call(lambda: 1 // 0).result(WAIT)
        assert loop.call(lambda: 1).result(WAIT) == 1


def test_the_device_s_thread_may_not_wait_for_itself():
    with running(Echo()) as (loop, _), pytest.raises(RuntimeError):
        loop.call(lambda: loop.remove_model(KEY)).result(WAIT)


# The end


def test_draining_finishes_everything_first():
    runtime, inbox = Gated(), Inbox()
    loop = DeviceLoop(inbox)
    loop.start()
    loop.add_model(KEY, runtime, ECHO, POLICY)
    start_and_hold(loop, runtime, job(1), job(2))
    runtime.let.release(2)
    assert loop.stop(drain=True, timeout=WAIT)
    assert all(outcome.error is None for outcome in inbox.take(2))
    with pytest.raises(PenstockError) as caught:
        loop.submit(job(3))
    assert caught.value.kind is Kind.UNAVAILABLE
    with pytest.raises(PenstockError):
        loop.call(lambda: None).result(WAIT)


def test_stopping_answers_what_waits_and_finishes_what_executes():
    runtime, inbox = Gated(), Inbox()
    loop = DeviceLoop(inbox)
    loop.start()
    loop.add_model(KEY, runtime, ECHO, POLICY)
    executing, waiting = job(1), job(2)
    start_and_hold(loop, runtime, executing, waiting)
    stopper = threading.Thread(target=loop.stop, args=(False, WAIT))
    stopper.start()
    (refused,) = inbox.take(1)
    runtime.let.release()
    stopper.join(WAIT)
    assert (refused.job, refused.executed) == (waiting, False)
    assert inbox.take(1)[0].job is executing


def test_stopping_ends_streams():
    runtime, inbox = Parts(), Inbox()
    loop = DeviceLoop(inbox)
    loop.start()
    loop.add_model(KEY, runtime, STREAM, POLICY)
    loop.submit(stream_job(1, 5, credit=1))
    inbox.take(1)
    assert loop.stop(drain=False, timeout=WAIT)
    (end,) = inbox.take(1)
    assert end.error.kind is Kind.UNAVAILABLE
    assert end.executed
    assert runtime.closed.is_set()


def test_a_device_that_hangs_is_told_as_stopped_only_in_part():
    runtime, inbox = Gated(), Inbox()
    loop = DeviceLoop(inbox)
    loop.start()
    loop.add_model(KEY, runtime, ECHO, POLICY)
    start_and_hold(loop, runtime, job(1))
    assert not loop.stop(drain=True, timeout=0.05)
    runtime.let.release()
    inbox.take(1)


# What it says of itself


def test_a_wedged_device_says_since_when():
    runtime = Gated()
    with running(runtime, policy=replace(POLICY, stall_after=1.0)) as (loop, _):
        assert loop.stalled(time.monotonic() + 100) is None
        start_and_hold(loop, runtime, job(1))
        now = time.monotonic()
        assert loop.stalled(now) is None
        assert loop.stalled(now + 2) == pytest.approx("m 1 has been executing a batch for 2.0 s")
        before = loop.report().progress
        runtime.let.release()
        until(lambda: loop.report().progress > before)
        until(lambda: loop.stalled(now + 100) is None)


@pytest.mark.parametrize(("turn", "thread"), [("next_turn", "device"), ("next_ahead", "staging")])
def test_a_thread_that_fails_is_logged_and_told(turn, thread, monkeypatch, caplog):
    def fail(desk):
        raise LookupError("a bug")

    monkeypatch.setattr(Desk, turn, fail)
    loop = DeviceLoop(Inbox())
    loop.start()
    until(lambda: loop.stalled(time.monotonic()) is not None)
    assert loop.stalled(time.monotonic()) == f"the {thread} thread has ended"
    assert f"the {thread} thread failed" in caplog.text
    assert "LookupError" in caplog.text
    monkeypatch.undo()
    loop.stop(drain=False, timeout=0.0)


def test_the_report_tells_the_load():
    runtime = Gated()
    with running(runtime) as (loop, inbox):
        assert loop.report().busy_since is None
        start_and_hold(loop, runtime, job(1), job(2))
        report = loop.report()
        assert report.in_flight == 2
        assert report.busy_since is not None
        runtime.let.release(2)
        inbox.take(2)
        assert loop.report().in_flight == 0
        assert loop.report().service_p99 > 0


def test_statistics_count_requests_rows_and_batches():
    runtime = Gated({13: RuntimeError()})
    with running(runtime, policy=replace(POLICY, sizes=(1, 4))) as (loop, inbox):
        start_and_hold(loop, runtime, job(1), job(2), job(3, 4))
        runtime.let.release(2)
        inbox.take(3)
        loop.submit(job(13))
        runtime.let.release()
        inbox.take(1)
        with pytest.raises(PenstockError) as caught:
            loop.statistics(("other", "1"))
        found = loop.statistics(KEY)
    assert caught.value.kind is Kind.NOT_FOUND
    assert (found.success.count, found.fail.count) == (3, 1)
    assert found.success.ns >= found.queue.ns + found.compute_infer.ns > 0
    assert (found.inference_count, found.execution_count) == (4, 2)
    assert {rows: of.compute_infer.count for rows, of in found.batches.items()} == {1: 1, 3: 1}
    assert found.padding_rows == 1
    assert sum(found.dispatches.values()) == 3
    assert found.dispatches[Reason.IDLE] >= 1
    assert abs(found.last_inference_ms / 1000 - time.time()) < 60
