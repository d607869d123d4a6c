"""What a beat tells of models' work."""

from backends.activity import activity
from backends.batching.statistics import ROWS, SECONDS, Recorder, Times
from tests.backends.jobs import job, scheduler


def worked() -> Recorder:
    made = scheduler(seconds_a_row=0.004)
    made.add(job(2), 0.0)
    made.add(job(1), 0.0)
    batch = made.next_batch(0.0).batch
    recorder = Recorder()
    recorder.dispatched(batch)
    recorder.executed(batch, Times(0.001, 0.010, 0.002))
    return recorder


def test_batches_rows_and_predictions_are_told():
    (told,) = activity({("m", "1"): worked().snapshot()})
    assert (told.model, told.version) == ("m", "1")
    assert (told.batches, told.rows, told.padding_rows) == (1, 3, 0)
    assert dict(told.dispatches) == {"idle": 1}
    assert (told.predicted_seconds, told.actual_seconds) == (0.012, 0.010)
    assert told.prediction_error_seconds == 0.002


def test_distributions_have_one_bucket_more_than_bounds():
    (told,) = activity({("m", "1"): worked().snapshot()})
    assert list(told.batch_rows.bounds) == list(ROWS)
    assert list(told.batch_rows.counts)[:4] == [0, 0, 1, 0]
    assert (told.batch_rows.sum, told.compute.sum) == (3.0, 0.010)
    assert len(told.compute.counts) == len(SECONDS) + 1


def test_models_that_have_done_nothing_are_not_told():
    assert list(activity({("idle", "1"): Recorder().snapshot()})) == []
