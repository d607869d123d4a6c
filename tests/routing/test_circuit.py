"""Circuits: so many requests to an arm at a time, streams until they are closed."""

import asyncio

import pytest

from protos.errors import Kind, PenstockError
from protos.service import Reply
from routing.circuit import Circuit
from tests.routing.routed import OK, route, routed

NARROW = route(circuit={"maxInFlight": 2})


class Held:
    """A service that answers when the test says so."""

    def __init__(self):
        self.waiting = []

    async def __call__(self, request):
        answer = asyncio.get_running_loop().create_future()
        self.waiting.append(answer)
        return await answer


async def start(circuit, service, number, by=NARROW, **how):
    tasks = [asyncio.ensure_future(circuit(routed(by, **how), service)) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def refused(circuit, by=NARROW, **how):
    with pytest.raises(PenstockError) as caught:
        await circuit(routed(by, **how), Held())
    return caught.value


async def test_more_than_may_be_in_flight_is_refused_at_once_with_a_time_to_come_back():
    circuit, service = Circuit(), Held()
    tasks = await start(circuit, service, 2)
    error = await refused(circuit)
    assert (error.kind, error.retry_after) == (Kind.OVERLOADED, 1.0)
    assert circuit.refusals == 1
    for waiting in service.waiting:
        waiting.set_result(OK)
    assert await asyncio.gather(*tasks) == [OK, OK]
    assert await circuit(routed(NARROW), answering(OK)) is OK


def answering(reply):
    async def service(request):
        return reply

    return service


async def test_arms_and_routes_are_counted_apart():
    circuit, service = Circuit(), Held()
    await start(circuit, service, 2)
    await start(circuit, service, 1, arm="canary")
    await start(circuit, service, 1, by=route("other", circuit={"maxInFlight": 1}))
    assert circuit.in_flight("fraud", "stable") == 2
    assert circuit.in_flight("fraud", "canary") == 1
    assert circuit.in_flight("other", "stable") == 1
    for waiting in service.waiting:
        waiting.set_result(OK)


async def test_failures_and_cancellations_make_room():
    circuit, service = Circuit(), Held()
    failing, cancelled = await start(circuit, service, 2)
    service.waiting[0].set_exception(PenstockError(Kind.LOST, "gone"))
    cancelled.cancel()
    await asyncio.gather(failing, cancelled, return_exceptions=True)
    assert circuit.in_flight("fraud", "stable") == 0


async def test_a_stream_counts_until_it_is_closed_and_its_own_end_is_kept():
    async def rest():
        yield OK.first

    closed = []
    circuit = Circuit()
    stream = Reply(OK.first, rest(), lambda: closed.append(True))
    reply = await circuit(routed(NARROW), answering(stream))
    assert circuit.in_flight("fraud", "stable") == 1
    reply.on_close()
    assert closed == [True]
    assert circuit.in_flight("fraud", "stable") == 0


async def test_a_stream_whose_end_fails_makes_room_all_the_same():
    async def rest():
        yield OK.first

    def fail():
        raise RuntimeError("the end failed")

    circuit = Circuit()
    reply = await circuit(routed(NARROW), answering(Reply(OK.first, rest(), fail)))
    with pytest.raises(RuntimeError):
        reply.on_close()
    assert circuit.in_flight("fraud", "stable") == 0


async def test_models_without_a_route_have_a_circuit_each():
    circuit, service = Circuit(), Held()
    implicit = route("", implicit=True, circuit={"maxInFlight": 1})
    (task,) = await start(circuit, service, 1, by=implicit)
    assert circuit.in_flight("m", "1") == 1
    assert (await refused(circuit, by=implicit)).kind is Kind.OVERLOADED
    task.cancel()
