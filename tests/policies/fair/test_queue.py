"""Start-time fair queueing: shares by weight, no starvation, nothing lost."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.fair.queue import CREDIT, FairQueue, Ticket

WORK = 0.01


def ticket(flow, *, work=WORK, priority=2, size=1):
    return Ticket(flow, work=work, priority=priority, deadline=inf, size=size)


def go_on(queue):
    """The next one goes on, and ends at once."""
    head = queue.head()
    queue.take(head)
    queue.leave(head.flow)
    return head


def served(queue, seconds):
    """Takes so much work, always refilling; device seconds by tenant."""
    given_ = {}
    while sum(given_.values()) < seconds:
        taken = go_on(queue)
        name = taken.flow.name
        given_[name] = given_.get(name, 0.0) + taken.work
        queue.push(ticket(taken.flow, work=taken.work, priority=taken.priority))
    return given_


def test_who_floods_gets_no_more_than_who_has_little_waiting():
    queue = FairQueue()
    noisy, quiet = queue.add_flow("noisy", 1.0), queue.add_flow("quiet", 1.0)
    for _ in range(1000):
        queue.push(ticket(noisy))
    queue.push(ticket(quiet))
    found = served(queue, 10.0)
    assert found["noisy"] == pytest.approx(found["quiet"], abs=2 * WORK + CREDIT)


def test_work_counts_and_not_requests():
    queue = FairQueue()
    for name, work in (("large", 0.08), ("small", 0.01)):
        queue.push(ticket(queue.add_flow(name, 1.0), work=work))
    found = served(queue, 10.0)
    assert found["large"] == pytest.approx(found["small"], abs=0.2)


def test_what_was_used_in_the_end_is_what_counts():
    queue = FairQueue()
    honest, heavy = queue.add_flow("honest", 1.0), queue.add_flow("heavy", 1.0)
    requests = {"honest": 0, "heavy": 0}
    queue.push(ticket(honest))
    queue.push(ticket(heavy))
    for _ in range(600):
        taken = go_on(queue)
        requests[taken.flow.name] += 1
        queue.push(ticket(taken.flow))
        if taken.flow is heavy:
            queue.correct(heavy, 2 * WORK)  # it was three times as much
    assert requests["honest"] == pytest.approx(3 * requests["heavy"], rel=0.05)


def test_rest_is_worth_a_credit_and_no_more():
    queue = FairQueue()
    noisy, rested = queue.add_flow("noisy", 1.0), queue.add_flow("rested", 1.0)
    for _ in range(2000):
        queue.push(ticket(noisy))
    for _ in range(1000):  # meanwhile the other one rests
        go_on(queue)
    for _ in range(500):
        queue.push(ticket(rested))
    first = [go_on(queue).flow.name for _ in range(100)]
    ahead = first.index("noisy")
    assert CREDIT / WORK <= ahead <= CREDIT / WORK + 2
    assert first[ahead:].count("rested") == pytest.approx(len(first[ahead:]) / 2, abs=1)


def test_it_is_known_who_got_less_than_its_share_of_what_was_done():
    queue = FairQueue()
    noisy, quiet = queue.add_flow("noisy", 1.0), queue.add_flow("quiet", 1.0)
    for _ in range(100):
        queue.push(ticket(noisy))
    queue.enter(quiet)
    for _ in range(20):
        go_on(queue)
        queue.advance(WORK)
    assert queue.lead(quiet) < -0.5
    assert queue.lead(noisy) > -0.5
    queue.charge(quiet, 30 * WORK)
    assert queue.lead(quiet) > 1.0


def test_who_always_waits_never_has_less_than_its_share():
    queue = FairQueue()
    noisy = queue.add_flow("noisy", 1.0)
    queue.charge(noisy, 1.0)
    for _ in range(100):
        queue.push(ticket(noisy))
    for _ in range(90):
        head = queue.head()
        queue.take(head)
        queue.correct(noisy, -WORK / 2)  # it is charged too much at first
        queue.advance(WORK)
        queue.leave(noisy)
        assert queue.lead(noisy) > -0.5


def test_a_ticket_may_be_taken_out_of_its_turn():
    queue = FairQueue()
    one, other = queue.add_flow("one", 1.0), queue.add_flow("other", 1.0)
    first, second, third = ticket(one), ticket(one), ticket(other)
    for each in (first, second, third):
        queue.push(each)
    queue.take(third)
    assert queue.waiting == 2
    assert [go_on(queue), go_on(queue)] == [first, second]


def test_a_tenants_urgent_requests_go_first_and_cost_the_others_nothing():
    queue = FairQueue()
    one, other = queue.add_flow("one", 1.0), queue.add_flow("other", 1.0)
    for priority in (3, 1, 2, 1):
        queue.push(ticket(one, priority=priority))
        queue.push(ticket(other))
    order = [go_on(queue) for _ in range(8)]
    assert [each.priority for each in order if each.flow is one] == [1, 1, 2, 3]
    assert [each.flow.name for each in order[:4]].count("other") == 2


def test_the_same_priority_is_served_in_the_order_of_arrival():
    queue = FairQueue()
    flow = queue.add_flow("one", 1.0)
    tickets = [ticket(flow) for _ in range(5)]
    for each in tickets:
        queue.push(each)
    assert [go_on(queue) for _ in tickets] == tickets


def test_after_a_busy_period_all_begin_alike():
    queue = FairQueue()
    one, other = queue.add_flow("one", 1.0), queue.add_flow("other", 1.0)
    for _ in range(1000):
        queue.push(ticket(one))
        go_on(queue)
    for _ in range(100):
        queue.push(ticket(one))
        queue.push(ticket(other))
    first = [go_on(queue).flow.name for _ in range(60)]
    assert first.count("one") == pytest.approx(30, abs=CREDIT / WORK)


def test_tenants_that_rest_are_forgotten_when_there_are_many():
    queue = FairQueue()
    busy = queue.add_flow("busy", 1.0)
    queue.enter(busy)
    for number in range(5000):
        queue.add_flow(str(number), 1.0)
    assert queue.flows["busy"] is busy
    assert "0" not in queue.flows


@given(
    weights=st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=2, max_size=5),
    works=st.lists(st.sampled_from([0.001, 0.01, 0.05]), min_size=5, max_size=5),
)
@settings(deadline=None, max_examples=40)
def test_whoever_always_has_work_waiting_gets_its_share(weights, works):
    queue = FairQueue()
    for number, weight in enumerate(weights):
        flow = queue.add_flow(str(number), weight)
        queue.push(ticket(flow, work=works[number]))
    seconds = 8.0
    found = served(queue, seconds)
    total = sum(weights)
    for number, weight in enumerate(weights):
        # Goyal's theorem 1: the largest request of each, and here the credit.
        slack = max(works) * (1 + len(weights)) + CREDIT * len(weights)
        assert found[str(number)] == pytest.approx(seconds * weight / total, abs=slack)


ACTION = st.one_of(
    st.tuples(st.just("push"), st.integers(0, 3), st.integers(1, 3)),
    st.tuples(st.just("take"), st.just(0), st.just(0)),
    st.tuples(st.just("remove"), st.integers(0, 50), st.just(0)),
)


@given(actions=st.lists(ACTION, max_size=120))
@settings(deadline=None, max_examples=80)
def test_what_is_put_in_comes_out_once_whatever_happens(actions):
    queue = FairQueue()
    waiting = []
    for action, which, priority in actions:
        if action == "push":
            flow = queue.flows.get(str(which)) or queue.add_flow(str(which), 1.0 + which)
            waiting.append(ticket(flow, priority=priority, size=which))
            queue.push(waiting[-1])
        elif action == "take" and waiting:
            waiting.remove(go_on(queue))
        elif action == "remove" and waiting:
            taken = waiting.pop(which % len(waiting))
            assert queue.remove(taken)
            assert not queue.remove(taken)
        assert queue.waiting == len(waiting)
        assert queue.size == sum(each.size for each in waiting)
        flows = {each.flow for each in waiting}
        assert queue.weight == pytest.approx(sum(flow.weight for flow in flows))
        for flow in flows:
            assert flow.waiting == sum(each.flow is flow for each in waiting)
    for _ in range(len(waiting)):
        waiting.remove(go_on(queue))
    assert not waiting
    assert not queue.waiting
