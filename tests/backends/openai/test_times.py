"""What beats tell of a joined server's load."""

from backends.openai.times import KEPT, Times, queued_work


def test_quantiles_are_of_the_last_calls():
    times = Times()
    assert times.quantile(0.5) == 0.0
    for seconds in [99.0] * KEPT + [1.0] * (KEPT - 1) + [2.0]:
        times.add(seconds)
    assert times.quantile(0.5) == 1.0
    assert times.quantile(1.0) == 2.0


def test_a_queue_empties_at_the_pace_of_those_that_run():
    assert queued_work(10, 5, 2.0) == 4.0
    assert queued_work(10, 0, 2.0) == 20.0
    assert queued_work(0, 5, 2.0) == 0.0
