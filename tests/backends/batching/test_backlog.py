import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.batching.backlog import WIDTH, Backlog, Demand


def test_work_counts_before_what_is_less_urgent():
    backlog = Backlog()
    backlog.add(1.0, 0.5)
    backlog.add(2.0, 0.25)
    assert backlog.before(0.5) == 0.0
    assert backlog.before(1.5) == 0.5
    assert backlog.before(2.5) == backlog.total == 0.75


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(1e-6, 1.0)), max_size=30), st.floats(0, 100))
def test_the_classes_are_off_by_their_width_at_most_and_empty_is_exactly_zero(entries, urgency):
    backlog = Backlog()
    for each in entries:
        backlog.add(*each)
    surely = sum(work for at, work in entries if at <= urgency)
    maybe = sum(work for at, work in entries if at <= urgency + WIDTH)
    assert surely - 1e-9 <= backlog.before(urgency) <= maybe + 1e-9
    for each in entries:
        backlog.remove(*each)
    assert backlog.total == 0.0


def test_demand_is_the_device_time_asked_for_in_a_second():
    demand = Demand()
    for step in range(1000):
        demand.add(0.002, step * 0.001)
    assert demand.rate(1.0) == pytest.approx(2.0, rel=0.05)
    assert demand.rate(3.0) < 0.01


def test_a_caller_who_waits_for_each_answer_never_asks_for_more_than_there_is():
    demand, now = Demand(), 0.0
    for _ in range(500):
        demand.add(0.005, now)
        now += 0.0053
    assert demand.rate(now) < 1.05
