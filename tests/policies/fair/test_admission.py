"""Who goes on, who waits, who is refused: without clock or network."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.fair.admission import FREE, MOST_EXTRA, Admission, Counts, Place
from policies.fair.bound import WINDOW, Answer
from policies.fair.queue import Ticket
from policies.fair.settings import Fairness
from protos.errors import Kind, PenstockError

SETTINGS = Fairness.model_validate(
    {"weights": {"gold": 4.0}, "queue": {"perTenant": 8, "total": 12, "bytes": "12KiB"}}
)


def admission(bound=2, given_=SETTINGS):
    made = Admission("m", given_, 1.0, Counts())
    made.bound.value = bound
    return made


def learned(bound=2, seconds=0.1):
    """An admission that knows that each request takes so long, one at a time."""
    made = admission(bound)
    for number in range(1, 100 * WINDOW):
        at = 1000.0 * number
        queue = seconds * (made.bound.value - 1)
        answer = Answer(made.bound.value, at, queue, seconds, 1.0, "a")
        made.bound.observe(at + queue + seconds, answer)
        made.bound.used(seconds, rows=1)
    assert made.bound.rate == pytest.approx(1 / seconds, rel=0.05)
    return made


def ticket(model, tenant="acme", *, deadline=inf, size=1, priority=2, rows=1):
    size = max(size, model.least_size)
    return Ticket(model.flow(tenant), model.estimate(rows), priority, deadline, size)


def fill(model, tenant="noisy"):
    while model.in_flight < model.bound.value:
        model.enter(model.flow(tenant), FREE)


def refusal(model, waiting, now=0.0):
    with pytest.raises(PenstockError) as caught:
        model.wait(waiting, now)
    return caught.value


def _refused(model, waiting, now):
    try:
        model.wait(waiting, now)
    except PenstockError as error:
        return error
    return None


def test_a_place_that_gets_free_goes_to_the_next():
    model = admission()
    fill(model)
    waiting = ticket(model, "noisy")
    assert model.wait(waiting, 0.0) == []
    noisy = model.flow("noisy")
    assert model.next(0.0, noisy) is None
    model.leave(noisy, FREE)
    assert model.next(0.0, noisy) == (waiting, Place(waiting.work, extra=False))
    assert model.in_flight == model.bound.value
    assert noisy.waiting == 0
    assert noisy.under_way == 2


def test_a_tenant_below_its_share_does_not_wait_for_those_above():
    model = admission(bound=4)
    fill(model)
    model.wait(ticket(model, "noisy"), 0.0)
    quiet = model.flow("quiet")
    passed = Place(0.01, extra=True)
    while model.passes(quiet):
        model.queue.charge(quiet, passed.work)
        model.enter(quiet, passed)
    # Its half of the places, and what rest is worth.
    assert 2 <= quiet.under_way <= 2 + model.queue.credit / passed.work


def test_a_tenant_that_floods_does_not_pass_itself():
    model = admission(bound=4)
    fill(model)
    model.queue.charge(model.flow("noisy"), 1.0)
    assert not model.passes(model.flow("noisy"))


def test_a_weight_is_a_part_of_the_places():
    model = admission(bound=10)
    fill(model)
    model.wait(ticket(model, "noisy"), 0.0)
    gold = model.flow("gold")
    model.queue.charge(gold, 0.05)  # as much as the others
    while model.passes(gold):
        model.enter(gold, Place(0.0, extra=True))
    assert gold.under_way == 8


def test_many_tenants_below_their_shares_exceed_the_bound_by_no_more_than_a_number():
    model = admission(bound=4)
    fill(model)
    model.wait(ticket(model, "noisy"), 0.0)
    for number in range(100):
        flow = model.flow(str(number))
        if model.passes(flow):
            model.enter(flow, Place(0.0, extra=True))
    assert model.in_flight == model.bound.value + MOST_EXTRA


def test_who_waits_goes_on_when_it_is_below_its_share_though_others_keep_the_places():
    model = admission(bound=2)
    fill(model)
    quiet = model.flow("quiet")
    model.queue.charge(quiet, 0.06)
    model.queue.charge(model.flow("noisy"), 0.05)
    passed = Place(0.0, extra=True)
    model.enter(quiet, passed)
    assert not model.passes(quiet)
    for _ in range(3):
        model.wait(ticket(model, "noisy"), 0.0)
    waiting = ticket(model, "quiet")
    model.wait(waiting, 0.0)
    assert model.next(0.0, quiet) is None
    model.leave(quiet, passed)
    assert model.next(0.0, quiet) == (waiting, Place(waiting.work, extra=True))


def test_a_tenants_own_overflow_is_refused_as_its_own():
    model = admission()
    fill(model)
    for _ in range(8):
        model.wait(ticket(model, "noisy"), 0.0)
    error = refusal(model, ticket(model, "noisy"))
    assert error.kind is Kind.RATE_LIMITED
    assert error.retry_after is not None
    assert model.wait(ticket(model, "quiet"), 0.0) == []


def test_when_all_is_full_the_longest_queue_gives_way():
    model = admission()
    fill(model)
    for _ in range(8):
        model.wait(ticket(model, "noisy"), 0.0)
    last = ticket(model, "noisy", priority=9)
    others = [ticket(model, str(number)) for number in range(4)]
    for each in others:
        assert model.wait(each, 0.0) == []
    (out,) = model.wait(ticket(model, "late"), 0.0)
    assert out.flow.name == "noisy"
    assert model.queue.waiting == 12
    assert refusal(model, last).kind is Kind.RATE_LIMITED


def test_the_least_urgent_and_newest_of_the_longest_queue_go_first():
    few = {"perTenant": 3, "total": 3, "bytes": "3KiB"}
    model = admission(given_=Fairness.model_validate({"queue": few}))
    fill(model)
    tickets = [ticket(model, "noisy", priority=p) for p in (2, 3, 1)]
    for each in tickets:
        model.wait(each, 0.0)
    assert model.wait(ticket(model, "quiet"), 0.0) == [tickets[1]]


def test_large_requests_fill_the_queue_by_their_bytes():
    model = admission()
    fill(model)
    for _ in range(2):
        model.wait(ticket(model, "noisy", size=5000), 0.0)
    error = refusal(model, ticket(model, "noisy", size=5000))
    assert error.kind is Kind.RATE_LIMITED
    (out,) = model.wait(ticket(model, "quiet", size=3000), 0.0)
    assert out.size == 5000
    assert model.queue.size == 8000


def test_what_is_larger_than_the_queue_is_refused_and_nobody_else():
    model = admission()
    fill(model)
    model.wait(ticket(model, "noisy", size=5000), 0.0)
    assert refusal(model, ticket(model, "quiet", size=50_000)).kind is Kind.RATE_LIMITED
    assert model.queue.waiting == 1


def test_what_would_be_late_is_refused_at_once_and_told_when_to_come_again():
    model = learned(seconds=0.1)
    fill(model)
    tickets = [ticket(model, "noisy", deadline=5.0 + 2.0) for _ in range(20)]
    error = None
    for each in tickets:
        error = error or _refused(model, each, 5.0)
    assert 2 <= model.queue.waiting <= 2.0 / 0.1
    assert error is not None
    assert error.kind is Kind.RATE_LIMITED
    assert error.retry_after > 0
    # Another tenant's wait is its own.
    assert model.wait(ticket(model, "quiet", deadline=5.0 + 2.0), 5.0) == []


def test_a_model_that_is_too_slow_for_a_deadline_says_so():
    model = learned(seconds=0.1)
    fill(model)
    error = refusal(model, ticket(model, "quiet", deadline=5.01), 5.0)
    assert error.kind is Kind.OVERLOADED
    assert error.retry_after is not None


def test_before_anything_is_known_of_a_model_nothing_is_called_late():
    model = admission()
    fill(model)
    assert model.wait(ticket(model, deadline=5.01), 5.0) == []


def test_hopeless_heads_are_dropped_and_take_no_place():
    model = learned(seconds=0.1)
    fill(model)
    hopeless, fine = ticket(model, deadline=3.0), ticket(model, deadline=60.0)
    model.wait(hopeless, 0.0)
    model.wait(fine, 0.0)
    noisy = model.flow("noisy")
    model.leave(noisy, FREE)
    assert model.next(2.999, noisy) == (hopeless, None)
    found = model.next(2.999, noisy)
    assert found is not None
    assert found[0] is fine
    assert found[1] is not None


def test_refusals_are_counted_by_tenants_that_have_a_weight():
    counts = Counts()
    model = Admission("m", SETTINGS, 1.0, counts)
    for tenant in ("gold", "somebody", "somebody else"):
        model.refusal(model.flow(tenant), "queue")
    assert counts.refused == {("m", "gold", "queue"): 1, ("m", "other", "queue"): 2}


ACTION = st.tuples(st.sampled_from(["ask", "leave", "cancel", "grow"]), st.integers(0, 5))


@given(actions=st.lists(ACTION, max_size=200))
@settings(deadline=None, max_examples=60)
def test_no_place_is_lost_or_idle_while_somebody_waits(actions):
    model = admission(bound=3)
    inside, waiting, now = [], [], 0.0

    def go_on(left):
        while (found := model.next(now, left)) is not None:
            each, place = found
            waiting.remove(each)
            if place is not None:
                inside.append((each.flow, place))

    for action, which in actions:
        now += 0.1
        if action == "ask":
            flow = model.flow(str(which))
            room = model.in_flight < model.bound.value and not waiting
            if room or model.passes(flow):
                place = FREE if room else Place(0.01, extra=True)
                model.enter(flow, place)
                inside.append((flow, place))
                continue
            asked = ticket(model, str(which), deadline=now + 1.0 + which)
            try:
                for out in model.wait(asked, now):
                    waiting.remove(out)
            except PenstockError:
                continue
            waiting.append(asked)
        elif action == "leave" and inside:
            flow, place = inside.pop(which % len(inside))
            model.account(flow, place, 0.02, 1)
            model.leave(flow, place)
            go_on(flow)
        elif action == "cancel" and waiting:
            assert model.queue.remove(waiting.pop(which % len(waiting)))
        elif action == "grow":
            model.bound.value = max(2, which)
            go_on(model.flow("0"))
        assert model.in_flight == len(inside)
        assert model.extra == sum(place.extra for _, place in inside)
        assert model.queue.waiting == len(waiting)
        assert not waiting or model.in_flight >= model.bound.value
        flows = {flow for flow, _ in inside} | {each.flow for each in waiting}
        assert model.queue.weight == pytest.approx(sum(flow.weight for flow in flows))
        for flow in flows:
            known = [one for one, _ in inside] + [each.flow for each in waiting]
            assert flow.under_way == sum(one is flow for one in known)
