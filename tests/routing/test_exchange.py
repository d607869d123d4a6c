"""The gateway's end of the exchange against a real gRPC server whose answers the tests decide."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from protos import exchange_pb2
from protos.errors import Kind, PenstockError
from routing.exchange import LARGE_BYTES, Bounds, Exchange
from routing.lane import silence
from tests.routing.routed import route
from tests.routing.scripted_backend import ScriptedBackend, connected, request


@pytest.fixture
async def backend():
    backend = ScriptedBackend()
    await backend.start()
    yield backend
    await backend.stop()


async def echo(backend):
    """Answers every call with its own input."""

    async def answer(call):
        await backend.answer(call, call.inputs["x"])

    backend.on_call = answer


def floats(part):
    return np.frombuffer(part.payload.tensors[0].data, "<f4").tolist()


@pytest.mark.parametrize(
    ("details", "silent"),
    [
        ("Stream removed (recvmsg:Connection timed out (110))", True),
        ("keepalive watchdog timeout", True),
        ("recvmsg:No route to host", True),
        ("Socket closed", False),
        ("recvmsg:Connection reset by peer", False),
        ("GOAWAY received", False),
        ("", False),
    ],
)
def test_silence_is_told_from_a_process_that_died(details, silent):
    assert silence(details) is silent


async def test_a_call_is_answered(backend):
    await echo(backend)
    async with connected(backend) as exchange:
        reply = await exchange(request([1, 2, 3]))
        assert floats(reply.first) == [1, 2, 3]
        assert reply.rest is None
        assert exchange.in_flight == 0


async def test_calls_of_one_turn_travel_in_one_frame(backend):
    await echo(backend)
    async with connected(backend) as exchange:
        replies = await asyncio.gather(*(exchange(request([n])) for n in range(50)))
        assert [floats(r.first)[0] for r in replies] == list(range(50))
        assert max(backend.frames) >= 49
        assert len(backend.frames) <= 3


async def test_answers_may_come_in_any_order(backend):
    async with connected(backend) as exchange:
        tasks = [asyncio.create_task(exchange(request([n]))) for n in range(3)]
        await backend.until(lambda: len(backend.calls) == 3)
        for call in reversed(list(backend.calls.values())):
            await backend.answer(call, call.inputs["x"])
        assert [floats((await task).first)[0] for task in tasks] == [0, 1, 2]


async def test_the_remaining_time_is_stamped_when_the_frame_is_written(backend):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request(deadline=time.monotonic() + 3.0)))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        assert 2_500_000 < call.remaining_us <= 3_000_000
        task.cancel()


async def test_a_deadline_ends_the_call_here_and_over_there(backend):
    async with connected(backend) as exchange:
        with pytest.raises(PenstockError) as caught:
            await exchange(request(deadline=time.monotonic() + 0.05))
        assert caught.value.kind is Kind.DEADLINE
        await backend.until(lambda: backend.cancels == list(backend.calls))


async def test_a_callers_end_cancels_the_call(backend):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request()))
        await backend.until(lambda: backend.calls)
        task.cancel()
        await backend.until(lambda: backend.cancels == list(backend.calls))
        assert exchange.in_flight == 0


async def test_a_call_cancelled_before_it_was_written_is_never_sent(backend):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request([7])))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await echo(backend)
        await exchange(request([8]))
        assert [c.inputs["x"].tolist() for c in backend.calls.values()] == [[8]]
        assert backend.cancels == []


async def test_parts_arrive_one_by_one(backend):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request(streaming=True)))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        await backend.answer(call, [0], final=False)
        reply = await task
        assert floats(reply.first) == [0]
        await backend.answer(call, [1], final=False)
        assert floats(await anext(reply.rest)) == [1]
        await backend.answer(call, [2])
        assert floats(await anext(reply.rest)) == [2]
        with pytest.raises(StopAsyncIteration):
            await anext(reply.rest)


async def test_closing_a_streamed_reply_cancels_the_rest(backend):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request(streaming=True)))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        await backend.answer(call, [0], final=False)
        (await task).on_close()
        await backend.until(lambda: backend.cancels == [call.id])


async def test_credit_follows_what_the_consumer_takes(backend):
    async with connected(backend, Bounds(credit=4096)) as exchange:
        task = asyncio.create_task(exchange(request(streaming=True)))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        for _ in range(3):
            await backend.answer(call, np.zeros(256), final=False)
        reply = await task
        assert backend.credits == []
        await anext(reply.rest)
        await anext(reply.rest)
        await backend.until(lambda: backend.credits)
        assert sum(amount for _, amount in backend.credits) >= 2048
        reply.on_close()


async def test_a_consumer_that_stops_reading_is_cancelled_alone(backend):
    async with connected(backend, Bounds(idle=0.1)) as exchange:
        task = asyncio.create_task(exchange(request(streaming=True)))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        neighbour = asyncio.create_task(exchange(request([5])))
        await backend.until(lambda: len(backend.calls) == 2)
        for n in range(2):
            await backend.answer(call, [n], final=False)
        reply = await task
        await backend.until(lambda: call.id in backend.cancels)
        with pytest.raises(PenstockError, match="stopped reading"):
            async for _ in reply.rest:
                pass
        other = next(c for c in backend.calls.values() if c.id != call.id)
        await backend.answer(other, [5])
        assert floats((await neighbour).first) == [5]


async def test_a_consumer_that_stops_in_the_middle_is_cancelled_too(backend):
    async with connected(backend, Bounds(idle=0.1)) as exchange:
        task = asyncio.create_task(exchange(request(streaming=True)))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        for n in range(4):
            await backend.answer(call, [n], final=False)
        reply = await task
        await anext(reply.rest)
        await backend.until(lambda: call.id in backend.cancels, 2.0)


async def test_a_dead_stream_tells_how_many_calls_may_be_repeated_copies_left_out(backend):
    lost = []
    asked = request()
    copy = replace(asked, context=replace(asked.context, shadow=True))
    async with connected(backend, on_lost=lost.append) as exchange:
        tasks = [asyncio.create_task(exchange(each)) for each in (asked, asked, copy)]
        await backend.until(lambda: len(backend.calls) == 3)
        await backend.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert lost == [2]


async def test_several_parts_for_a_caller_that_wants_one_are_an_error(backend):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request()))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        await backend.answer(call, [0], final=False)
        with pytest.raises(PenstockError, match="several parts"):
            await task
        await backend.until(lambda: backend.cancels == [call.id])


@pytest.mark.parametrize(("executed", "kind"), [(False, Kind.OVERLOADED), (True, Kind.INTERRUPTED)])
async def test_a_refusal_says_whether_another_backend_may_have_the_call(backend, executed, kind):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request()))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        refusal = PenstockError(Kind.OVERLOADED, "full", retry_after=2.0)
        await backend.refuse(call, refusal, executed=executed)
        with pytest.raises(PenstockError) as caught:
            await task
        assert (caught.value.kind, caught.value.retry_after) == (kind, 2.0)


async def test_a_dead_backend_loses_the_written_calls_and_is_found_again(backend):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request()))
        await backend.until(lambda: backend.calls)
        port = backend.address.rpartition(":")[2]
        await backend.stop()
        with pytest.raises(PenstockError) as caught:
            await task
        assert caught.value.kind is Kind.LOST
        assert not exchange.connected
        with pytest.raises(PenstockError) as caught:
            await exchange(request())
        assert caught.value.kind is Kind.UNAVAILABLE
        again = ScriptedBackend()
        await again.start(int(port))
        await echo(again)
        async with asyncio.timeout(10):
            while not exchange.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert floats((await exchange(request([4]))).first) == [4]
        await again.stop()


async def test_large_messages_travel_on_a_stream_of_their_own(backend):
    await echo(backend)
    async with connected(backend) as exchange:
        big = np.arange(LARGE_BYTES // 4 + 1, dtype=np.float32)
        replies = await asyncio.gather(exchange(request(big)), exchange(request([1])))
        assert floats(replies[0].first) == big.tolist()
        assert floats(replies[1].first) == [1]
        assert len(backend.frames) == 2


async def test_what_is_in_flight_is_bounded(backend):
    async with connected(backend, Bounds(calls=2)) as exchange:
        tasks = [asyncio.create_task(exchange(request())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(PenstockError) as caught:
            await exchange(request())
        assert caught.value.kind is Kind.OVERLOADED
        for task in tasks:
            task.cancel()


async def test_a_wrong_key_is_never_connected(backend):
    exchange = Exchange(backend.address, "another key")
    await asyncio.sleep(0.3)
    assert not exchange.connected
    await exchange.close()


async def test_silence_with_work_in_flight_is_noticed(backend, monkeypatch):
    monkeypatch.setattr("routing.lane.SILENT_AFTER", 0.05)
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request()))
        await backend.until(lambda: backend.calls)
        await asyncio.sleep(0.1)
        assert exchange.silent
        (call,) = backend.calls.values()
        await backend.answer(call, [0])
        await task
        assert not exchange.silent


async def test_calls_that_are_cut_off_make_nobody_suspect_and_late_answers_are_passed_over(backend):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request()))
        await backend.until(lambda: backend.calls)
        exchange.cut_off("the backend is silent")
        with pytest.raises(PenstockError) as caught:
            await task
        assert caught.value.kind is Kind.CUT_OFF
        assert exchange.in_flight == 0
        (call,) = backend.calls.values()
        await backend.answer(call, [0])
        again = asyncio.create_task(exchange(request()))
        await backend.until(lambda: len(backend.calls) == 2)
        await backend.answer(list(backend.calls.values())[1], [1])
        assert (await again).first.final


def arriving(**context):
    """A streaming request whose first part is due in 80 ms."""
    asked = request(streaming=True)
    due = time.monotonic() + 0.08
    return replace(asked, context=replace(asked.context, first_deadline=due, **context))


async def test_a_first_part_that_is_late_fails_the_call_here_and_over_there(backend):
    async with connected(backend) as exchange:
        with pytest.raises(PenstockError, match="first part") as caught:
            await exchange(arriving(deadline=time.monotonic() + 30.0))
        assert caught.value.kind is Kind.DEADLINE
        await backend.until(lambda: backend.cancels == list(backend.calls))


async def test_after_the_first_part_only_the_whole_deadline_counts(backend):
    async with connected(backend) as exchange:
        asked = arriving(deadline=time.monotonic() + 0.25)
        task = asyncio.create_task(exchange(asked))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        await backend.answer(call, [0], final=False)
        reply = await task
        await asyncio.sleep(0.12)
        await backend.answer(call, [1], final=False)
        assert floats(await anext(reply.rest)) == [1]
        with pytest.raises(PenstockError, match="before the reply came"):
            await anext(reply.rest)


async def test_a_unary_reply_is_due_at_the_whole_deadline(backend):
    async with connected(backend) as exchange:
        asked = arriving(streaming=False)
        task = asyncio.create_task(exchange(asked))
        await backend.until(lambda: backend.calls)
        await asyncio.sleep(0.12)
        (call,) = backend.calls.values()
        await backend.answer(call, [3])
        assert floats((await task).first) == [3]


@pytest.mark.parametrize(
    ("general", "routes", "ends"), [(30.0, "100ms", True), (0.1, "30s", False)], ids=str
)
async def test_a_route_says_for_how_long_its_clients_may_stop_reading(
    backend, general, routes, ends
):
    async with connected(backend, Bounds(idle=general)) as exchange:
        asked = request(streaming=True)
        by = route(timeouts={"idle": routes})
        asked = replace(asked, context=replace(asked.context, route=by))
        task = asyncio.create_task(exchange(asked))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        for n in range(2):
            await backend.answer(call, [n], final=False)
        reply = await task
        await asyncio.sleep(0.3)
        assert (call.id in backend.cancels) is ends
        reply.on_close()


async def test_a_backend_that_heeds_no_credit_loses_the_call_and_nothing_else(backend):
    """What nobody reads yet would fill this process's memory otherwise."""
    async with connected(backend, Bounds(credit=4096)) as exchange:
        task = asyncio.create_task(exchange(request(streaming=True)))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        for _ in range(20):
            await backend.answer(call, np.zeros(256), final=False)
        reply = await task
        await backend.until(lambda: call.id in backend.cancels)
        for _ in range(8):  # twice the credit in parts of a kilobyte, and the one that came beside
            await anext(reply.rest)
        with pytest.raises(PenstockError, match="more of a reply than it was let") as caught:
            await anext(reply.rest)
        assert caught.value.kind is Kind.BAD_REPLY
        await echo(backend)
        assert floats((await exchange(request([5]))).first) == [5]


async def test_so_does_one_that_sends_nothing_without_end(backend):
    async with connected(backend, Bounds(credit=8)) as exchange:
        task = asyncio.create_task(exchange(request(streaming=True)))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        for _ in range(40):
            await backend.answer(call, np.zeros(0), final=False)
        reply = await task
        await backend.until(lambda: call.id in backend.cancels)
        with pytest.raises(PenstockError, match="more of a reply than it was let"):
            async for _ in reply.rest:
                pass


@pytest.mark.parametrize("call_id", [1000, 2**64 - 1])
async def test_an_answer_to_a_call_that_nobody_made_ends_the_stream(backend, call_id):
    """Somebody else's answer it should have been, who would wait for it in vain."""
    lost = []
    async with connected(backend, on_lost=lost.append) as exchange:
        task = asyncio.create_task(exchange(request([1])))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        await backend.answer(call, [7], call_id=call_id)
        with pytest.raises(PenstockError) as raised:
            await task
    assert raised.value.kind is Kind.LOST
    assert lost == [1]


async def test_parts_twice_and_after_the_last_are_passed_over(backend):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request([1])))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        await backend.answer(call, [1])
        await backend.answer(call, [2])
        await backend.answer(call, [3], final=False)
        assert floats((await task).first) == [1]
        assert exchange.in_flight == 0
        await echo(backend)
        assert floats((await exchange(request([5]))).first) == [5]


WRONG = [
    {"outputs": [exchange_pb2.Tensor(name="y", datatype="FP32", shape=[2], data=bytes(4))]},
    {"outputs": [exchange_pb2.Tensor(name="y", datatype="FP32", shape=[-1], data=bytes(4))]},
    {"outputs": [exchange_pb2.Tensor(name="y", datatype="NONE", shape=[1], data=bytes(4))]},
    {"outputs": [exchange_pb2.Tensor(name="y", datatype="BYTES", shape=[1], data=b"\xff" * 4)]},
    {"outputs": [exchange_pb2.Tensor(name="y", datatype="FP32", shape=[0])] * 2},
    {"object": exchange_pb2.CHAT, "body": b"no JSON"},
    {"object": exchange_pb2.CHAT, "body": b"[]"},
    {"object": 99, "body": b"{}"},
    {"status": 999},
]


@pytest.mark.parametrize("fields", WRONG, ids=range(len(WRONG)))
async def test_a_reply_that_cannot_be_is_a_bad_one_of_its_call_alone(backend, fields):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request([1])))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        part = exchange_pb2.Part(id=call.id, final=True, **fields)
        await backend.send(call, exchange_pb2.ReplyFrame(parts=[part]).SerializeToString())
        with pytest.raises(PenstockError, match="the backend's reply is wrong") as caught:
            await task
        assert caught.value.kind is Kind.BAD_REPLY
        await echo(backend)
        assert floats((await exchange(request([5]))).first) == [5]


async def test_bytes_that_are_no_frame_end_the_stream_and_another_one_begins(backend):
    async with connected(backend) as exchange:
        task = asyncio.create_task(exchange(request([1])))
        await backend.until(lambda: backend.calls)
        (call,) = backend.calls.values()
        await backend.send(call, b"\x0a\xff\xff")
        with pytest.raises(PenstockError) as caught:
            await task
        assert caught.value.kind is Kind.LOST
        await echo(backend)
        async with asyncio.timeout(5):
            while not exchange.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert floats((await exchange(request([5]))).first) == [5]
