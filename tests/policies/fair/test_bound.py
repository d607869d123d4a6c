"""The bound follows what the endpoints can do, whatever they are."""

import pytest

from policies.fair.bound import FIRST, LEAST, LEAST_QUEUE, WINDOW, Answer, Bound


def answer(in_flight, began, *, queue=0.0, compute=0.01, together=1.0, instance="a", streams=False):
    return Answer(in_flight, began, queue, compute, together, instance, streams)


def saturate(bound, seconds, *, compute, batch=1, endpoints=1, way=0.001, other=0.0):
    """As many in flight as the bound allows, on endpoints that do `batch` at a time.

    `other`: how long each batch waits for what else the device does.
    """
    now = 0.0
    while now < seconds:
        in_flight = bound.value
        each = in_flight / endpoints
        together = max(1, min(batch, int(each)))
        # What is on the way isn't waiting; a device that isn't waited for is idle.
        waits = max(0.0, each / together * (compute + other) - compute - other - way) + other
        elapsed = way + waits + compute
        for number in range(in_flight):
            bound.observe(
                now + elapsed,
                answer(
                    in_flight,
                    now,
                    queue=waits,
                    compute=compute,
                    together=together,
                    instance=str(number % endpoints),
                ),
            )
            bound.used(compute / together, rows=1)
        now += elapsed


@pytest.mark.parametrize("endpoints", [1, 3, 8])
def test_of_requests_done_one_at_a_time_an_endpoint_has_one_and_another_waiting(endpoints):
    bound = Bound()
    saturate(bound, 10.0, compute=0.02, endpoints=endpoints)
    assert 2 * endpoints <= bound.value <= 3 * endpoints + 1


@pytest.mark.parametrize("endpoints", [1, 3])
def test_of_batches_an_endpoint_has_one_and_another_waiting(endpoints):
    bound = Bound()
    saturate(bound, 20.0, compute=0.04, batch=8, endpoints=endpoints)
    assert 16 * endpoints <= bound.value <= 20 * endpoints


def test_a_far_endpoint_has_what_is_on_the_way_as_well():
    bound = Bound()
    saturate(bound, 60.0, compute=0.01, way=0.2)
    assert bound.value >= 0.2 / 0.01


def test_a_quick_model_keeps_a_short_queue_rather_than_a_batch():
    bound = Bound()
    saturate(bound, 5.0, compute=0.0001)
    assert bound.value >= LEAST_QUEUE / 0.0001 / 2


def test_a_device_that_other_models_keep_busy_still_gets_full_batches():
    bound = Bound()
    saturate(bound, 100.0, compute=0.002, batch=8, other=0.2)
    assert bound.value >= 16


def test_one_of_two_workers_has_its_part_of_the_batches():
    bound = Bound(share=0.5)
    saturate(bound, 20.0, compute=0.04, batch=8)
    # This model of it sees no other worker, so time alone leads to as much as one would have.
    assert 8 <= bound.value <= 20


def test_what_is_far_from_the_bound_says_nothing_of_it():
    bound = Bound()
    for number in range(10 * WINDOW):
        bound.observe(number + 9.0, answer(FIRST // 2 - 1, float(number), queue=8.0))
    assert bound.value == FIRST


def test_what_began_under_another_bound_says_nothing_of_this_one():
    bound = Bound()
    for _ in range(WINDOW):
        bound.observe(1.0, answer(FIRST, 0.0, queue=0.9))
    changed = bound.value
    assert changed == FIRST // 2
    for _ in range(FIRST):  # those that were in flight then
        bound.observe(1.5, answer(FIRST, 0.5, queue=0.9))
    assert bound.value == changed


def test_while_there_is_no_queue_it_doubles():
    bound = Bound()
    bounds = []
    for number in range(8 * FIRST):
        bound.observe(number + 1.0, answer(bound.value, float(number)))
        bounds.append(bound.value)
    assert sorted(set(bounds))[:3] == [FIRST, 2 * FIRST, 4 * FIRST]


def test_streams_that_wait_to_begin_lower_it_by_as_much_as_they_are_too_many():
    bound = Bound()
    for number in range(1, 200):
        at = 20.0 * number
        # Sixteen places: those beyond them wait until one of ten seconds ends.
        queue = max(0.0, (bound.value - 16) * 10.0 / 16)
        for _ in range(bound.value):
            bound.held(queue + 10.0)
            bound.observe(
                at + queue + 0.05,
                answer(bound.value, at, queue=queue, compute=0.05, streams=True),
            )
    assert 12 <= bound.value <= 24


def test_one_hiccup_no_more_than_halves_it_and_the_least_is_kept():
    bound = Bound()
    for number in range(100 * WINDOW):
        began = float(number // WINDOW * 10 + 1)
        before = bound.value
        bound.observe(began + 8.0, answer(bound.value, began, queue=7.9, instance=""))
        assert bound.value >= before // 2
    assert bound.value >= LEAST


def test_workers_that_share_endpoints_come_to_like_bounds():
    one, two = Bound(0.5), Bound(0.5)
    one.value, two.value = 60, 4
    now, compute = 0.0, 0.02
    for _ in range(400):
        total = one.value + two.value
        waits = (total - 1) * compute
        for bound in (one, two):
            for _ in range(WINDOW):
                bound.observe(
                    now + waits + compute, answer(bound.value, now, queue=waits, compute=compute)
                )
        now += waits + compute + 1.0
    assert one.value <= 2 * two.value
    assert two.value <= 2 * one.value


def test_it_knows_how_much_is_done_in_a_second():
    bound = Bound()
    saturate(bound, 20.0, compute=0.02, way=0.0)
    assert bound.rate == pytest.approx(50.0, rel=0.1)
    assert bound.speed == pytest.approx(1.0, rel=0.1)
    assert bound.latency == pytest.approx(bound.value / 50.0, rel=0.15)
