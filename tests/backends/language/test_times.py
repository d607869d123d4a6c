"""What beats tell of a joined server's load."""

from backends.language.times import KEPT, Times, queued_work, time_queued


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


def test_a_call_waits_for_the_share_of_its_time_that_the_queue_has_of_all_calls():
    assert time_queued(0, 16, 1.0, 1.0) == 0.0
    assert time_queued(48, 16, 4.0, 4.0) == 3.0
    assert time_queued(5, 0, 4.0, 1.0) == 4.0


def test_the_first_part_of_a_stream_waited_as_long_as_the_whole_will_have_waited():
    assert time_queued(16, 16, 6.0, 10.0) == 5.0
    assert time_queued(48, 16, 2.0, 10.0) == 2.0
