"""One endpoint: what makes it usable, what it costs, and what its calls say of it."""

import asyncio

import pytest

from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import Part, Tensors
from routing.endpoints import EndpointTable
from tests.routing.leased import FakeExchange, lease, snapshot
from tests.routing.routed import routed


@pytest.fixture
async def table():
    table = EndpointTable(FakeExchange)
    yield table
    await table.close()


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"healthy": False}, "unhealthy"),
        ({"draining": True}, "draining"),
        ({"state": pb.SUSPECT}, "suspect"),
    ],
)
async def test_what_speaks_against_an_endpoint_makes_it_unusable(table, change, state):
    table.apply(snapshot(lease(**change)))
    (endpoint,) = table.endpoints()
    assert not endpoint.usable
    assert endpoint.state == state


async def test_what_this_process_has_seen_counts_too(table):
    table.apply(snapshot(lease()))
    (endpoint,) = table.endpoints()
    assert endpoint.usable
    endpoint.exchange.silent = True
    assert (endpoint.usable, endpoint.possible, endpoint.state) == (False, True, "suspect")
    endpoint.exchange.connected = False
    assert (endpoint.usable, endpoint.possible, endpoint.state) == (False, False, "unreachable")


async def test_the_predicted_wait_counts_what_went_there_since_the_beat(table):
    load = pb.Load(queued_work_us=1000, in_flight=4, service_p50_us=800)
    table.apply(snapshot(lease(load=load)))
    (endpoint,) = table.endpoints()
    assert endpoint.predicted_wait() == pytest.approx(0.001)
    endpoint.exchange.in_flight = 12
    assert endpoint.predicted_wait() == pytest.approx(0.001 + 8 * 0.0001)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


LOAD = pb.Load(queued_work_us=10_000, service_p50_us=2_000, service_p99_us=5_000)
KEY = ("m", "1")


@pytest.fixture
async def clock():
    return Clock()


@pytest.fixture
async def endpoint(clock):
    table = EndpointTable(FakeExchange, clock)
    table.apply(snapshot(lease(load=LOAD)))
    yield table.endpoints()[0]
    await table.close()


def after(clock, seconds, outcome=None, **timing):
    """An exchange that answers, or fails with `outcome`, after so long on the clock."""

    async def answer(request):
        clock.now += seconds
        if outcome is not None:
            raise outcome
        return Reply(Part(Tensors(()), "1", {}, True, **timing))

    return answer


async def test_a_slow_way_there_adds_to_the_cost(endpoint, clock):
    assert endpoint.cost(clock.now) == pytest.approx(0.010)
    endpoint.exchange.answer = after(clock, 0.510, queue_us=4_000, compute_us=6_000)
    await endpoint(routed())
    assert endpoint.cost(clock.now) == pytest.approx(0.010 + 0.5)
    assert endpoint.predicted_wait() == pytest.approx(0.010)


async def test_what_the_backend_accounts_for_does_not(endpoint, clock):
    endpoint.exchange.answer = after(clock, 0.510, queue_us=500_000, compute_us=10_000)
    await endpoint(routed())
    assert endpoint.cost(clock.now) == pytest.approx(0.010)


async def test_an_answer_that_is_overdue_adds_to_the_cost_before_it_comes(endpoint, clock):
    answer = asyncio.get_running_loop().create_future()
    endpoint.exchange.answer = lambda request: answer
    asking = asyncio.ensure_future(endpoint(routed()))
    await asyncio.sleep(0)
    clock.now += 0.015  # what was queued, and the time that the slowest calls take
    assert endpoint.cost(clock.now) == pytest.approx(0.010)
    clock.now += 0.2
    assert endpoint.cost(clock.now) == pytest.approx(0.210)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    # It was given up, so nobody knows how late it would have been: at least so much.
    assert endpoint.cost(clock.now) == pytest.approx(0.210)


async def test_calls_that_are_answered_leave_nothing_behind(endpoint, clock):
    endpoint.exchange.answer = after(clock, 0.001, queue_us=1_000)
    for _ in range(10):
        await endpoint(routed())
    clock.now += 60.0
    assert endpoint.cost(clock.now) == pytest.approx(0.010)


@pytest.mark.parametrize(("seconds", "counts"), [(0.01, 0), (0.1, 1)])
async def test_a_missed_deadline_counts_only_if_the_answer_was_overdue(
    endpoint, clock, seconds, counts
):
    endpoint.exchange.answer = after(clock, seconds, PenstockError(Kind.DEADLINE, "too late"))
    with pytest.raises(PenstockError):
        await endpoint(routed())
    assert endpoint.breakers[KEY].consecutive == counts


async def test_a_deadline_that_the_client_chose_counts_against_nobody(endpoint, clock):
    endpoint.exchange.answer = after(clock, 10.0, PenstockError(Kind.DEADLINE, "too late"))
    for by_client in (True, False):
        request = routed()
        request.context.timeline.first_by_client = by_client
        with pytest.raises(PenstockError):
            await endpoint(request)
        assert endpoint.breakers[KEY].consecutive == (not by_client)


async def test_no_deadline_counts_while_nobody_knows_how_long_answers_take(endpoint, clock):
    endpoint.update(lease(load=pb.Load(service_p50_us=2_000)).beat, suspect=False)
    endpoint.exchange.answer = after(clock, 0.1, PenstockError(Kind.DEADLINE, "too late"))
    with pytest.raises(PenstockError):
        await endpoint(routed())
    assert endpoint.breakers[KEY].consecutive == 0


@pytest.mark.parametrize(("seconds", "counts"), [(0.4, 0), (0.6, 1)])
async def test_the_way_that_answers_take_belongs_to_what_is_expected(
    endpoint, clock, seconds, counts
):
    endpoint.exchange.answer = after(clock, 0.510, queue_us=10_000)
    await endpoint(routed())  # half a second on the way
    endpoint.exchange.answer = after(clock, seconds, PenstockError(Kind.DEADLINE, "too late"))
    with pytest.raises(PenstockError):
        await endpoint(routed())
    assert endpoint.breakers[KEY].consecutive == counts


async def test_calls_that_hang_all_count_though_each_is_late_by_as_much(endpoint, clock):
    endpoint.exchange.answer = after(clock, 1.0, PenstockError(Kind.DEADLINE, "too late"))
    for _ in range(5):
        with pytest.raises(PenstockError):
            await endpoint(routed())
    assert endpoint.breakers[KEY].consecutive == 5


async def test_copies_leave_no_trace(endpoint, clock):
    answer = asyncio.get_running_loop().create_future()
    endpoint.exchange.answer = lambda request: answer
    asking = asyncio.ensure_future(endpoint(routed(shadow=True)))
    await asyncio.sleep(0)
    clock.now += 10.0
    assert endpoint.cost(clock.now) == pytest.approx(0.010)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    endpoint.exchange.answer = after(clock, 10.0)
    await endpoint(routed(shadow=True))
    endpoint.exchange.answer = after(clock, 0.0, PenstockError(Kind.INTERNAL, "no"))
    with pytest.raises(PenstockError):
        await endpoint(routed(shadow=True))
    assert endpoint.cost(clock.now) == pytest.approx(0.010)
    assert endpoint.breakers == {}


async def test_an_unloaded_model_takes_what_its_calls_said_with_it(endpoint, clock):
    endpoint.exchange.answer = after(clock, 0.0, PenstockError(Kind.INTERNAL, "no"))
    with pytest.raises(PenstockError):
        await endpoint(routed())
    loading = lease(models=(("m", "1", pb.LOADING),), models_revision=2)
    endpoint.update(loading.beat, suspect=False)
    assert endpoint.breakers[KEY].consecutive == 1
    endpoint.update(lease(models=(), models_revision=3).beat, suspect=False)
    assert endpoint.breakers == {}


async def test_a_refusal_counts_only_if_the_connection_was_there(endpoint, clock):
    endpoint.exchange.answer = after(clock, 0.0, PenstockError(Kind.UNAVAILABLE, "no"))
    for connected in (False, True):
        endpoint.exchange.connected = connected
        with pytest.raises(PenstockError):
            await endpoint(routed())
        assert endpoint.breakers[KEY].consecutive == connected


async def test_an_answer_ends_a_row_of_failures(endpoint, clock):
    endpoint.exchange.answer = after(clock, 0.0, PenstockError(Kind.INTERNAL, "no"))
    with pytest.raises(PenstockError):
        await endpoint(routed())
    endpoint.exchange.answer = after(clock, 0.0)
    await endpoint(routed())
    assert endpoint.breakers[KEY].consecutive == 0
