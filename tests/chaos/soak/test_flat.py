"""What counts as growth."""

import math
from dataclasses import replace

from chaos.soak.flat import flat, warm_and_last
from tests.chaos.soak.soak_samples import MIB, samples


def broken(found: list) -> list[str]:
    return [each.what for each in flat(found, "worker 0") if not each.holds]


def test_what_stays_is_flat():
    found = samples()
    assert broken(found) == []
    assert len(flat(found, "worker 0")) == 5


def test_growth_while_it_warms_up_is_no_growth():
    assert broken(samples(uss=lambda at: (60 + 40 * min(1.0, at / 90)) * MIB)) == []


def test_slow_growth_that_never_ends_is_seen():
    found = samples(uss=lambda at: (100 + at * 0.05) * MIB)
    assert broken(found) == ["worker 0: memory"]


def test_a_burst_at_the_end_decides_nothing():
    assert broken(samples(uss=lambda at: (300 if at == 299 else 100) * MIB)) == []


def test_tasks_that_pile_up_are_seen():
    assert broken(samples(tasks=lambda at: 20 + at // 10)) == ["worker 0: tasks"]


def test_what_nobody_tells_is_not_flat():
    found = samples(tasks=lambda at: math.nan)
    assert broken(found) == ["worker 0: tasks"]
    assert [each.holds for each in flat(found, "worker 0", loops=False)] == [True] * 4
    assert not any(each.holds for each in flat(found, "somebody else"))
    assert not any(each.holds for each in flat([], "worker 0"))
    assert warm_and_last(found, "somebody else", "uss") is None


def test_one_that_crashed_and_came_back_is_not_flat():
    title = "worker 0: one process from beginning to end"
    assert broken(samples(pid=lambda at: 8 if at > 200 else 7)) == [title]
    found = samples()
    gone = [replace(each, processes={}) if at < 100 else each for at, each in enumerate(found)]
    assert title in broken(gone)
