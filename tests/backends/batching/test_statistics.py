import pytest

from backends.batching.batch import Reason
from backends.batching.job import Outcome
from backends.batching.statistics import Duration, Recorder, Times
from protos.errors import Kind, PenstockError
from tests.backends.jobs import job, scheduler

TIMES = Times(0.001, 0.010, 0.002)


def test_requests_count_their_whole_batch_and_batches_their_rows():
    made = scheduler()
    made.add(job(2), 0.0)
    made.add(job(1), 0.0)
    batch = made.next_batch(0.0).batch
    recorder = Recorder()
    recorder.dispatched(batch)
    recorder.executed(batch, TIMES)
    outcomes = [Outcome(piece.job, {}, None, True, True, 0.005, 0.010) for piece in batch.pieces]
    recorder.answered(outcomes, 0.020, TIMES)
    found = recorder.snapshot()
    assert found.success == Duration(2, 40_000_000)
    assert found.queue == Duration(2, 10_000_000)
    assert found.compute_input == Duration(2, 2_000_000)
    assert found.compute_infer == Duration(2, 20_000_000)
    assert found.compute_output == Duration(2, 4_000_000)
    assert (found.inference_count, found.execution_count) == (3, 1)
    assert found.batches[3].compute_infer == Duration(1, 10_000_000)
    assert found.dispatches == {Reason.IDLE: 1}


def test_failures_count_their_time_and_missed_deadlines_by_themselves():
    recorder = Recorder()
    for kind in (Kind.DEADLINE, Kind.MODEL_FAILED):
        error = PenstockError(kind, "no")
        recorder.answered([Outcome(job(), None, error, True, False)], 0.5, TIMES)
    found = recorder.snapshot()
    assert found.fail == Duration(2, 1_000_000_000)
    assert found.success == Duration()
    assert found.deadline_misses == 1


def test_predictions_are_held_against_what_happened():
    made = scheduler(seconds_a_row=0.004)
    made.add(job(2), 0.0)
    recorder = Recorder()
    recorder.executed(made.next_batch(0.0).batch, TIMES)
    found = recorder.snapshot()
    assert found.predicted.ns == pytest.approx(8_000_000, abs=1)
    assert found.prediction_error.ns == pytest.approx(2_000_000, abs=1)


def test_a_snapshot_does_not_change_any_more():
    recorder = Recorder()
    before = recorder.snapshot()
    recorder.streamed(3)
    assert before.inference_count == 0
    assert recorder.snapshot().inference_count == 3
