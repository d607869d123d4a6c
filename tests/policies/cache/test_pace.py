"""How long the slowest reader of a stream is waited for."""

from policies.cache.pace import Pace


def test_who_is_alone_has_its_time_for_each_part():
    pace = Pace(5.0)
    assert pace.until(0, 100.0, held_up=False) == 105.0
    assert pace.until(0, 104.0, held_up=False) == 105.0
    assert pace.until(1, 104.0, held_up=False) == 109.0


def test_what_others_wait_is_bounded_in_all():
    pace = Pace(5.0)
    assert pace.until(0, 100.0, held_up=True) == 105.0
    pace.waited(3.0)
    assert pace.until(1, 103.0, held_up=True) == 105.0
    pace.waited(4.0)
    assert pace.until(2, 107.0, held_up=True) == 107.0
    assert pace.until(2, 107.0, held_up=False) == 112.0
