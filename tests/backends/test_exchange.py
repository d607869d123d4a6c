"""The exchange over a real gRPC stream: what is odd about one call stays with that call."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from grpc import aio

from backends.batched import Batched
from backends.batching.job import BatchPolicy
from backends.exchange import ExchangeService
from backends.intake import Intake
from protos.arrays import to_tensor
from protos.errors import Kind, PenstockError
from protos.exchange_calls import ACCESS_KEY, Call, decode_requests, encode_call, frame
from protos.exchange_parts import decode_parts
from protos.principal import Principal
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Signature, Tensors, TensorSpec
from tests.backends.loops import Echo, until

WAIT = 10.0
ALONE = BatchPolicy(max_rows=0)
X, Y = TensorSpec("x", "INT64", (-1, 2)), TensorSpec("y", "INT64", (-1, 2))
UNARY = Signature("test", (X,), (Y,))
STREAM = Signature("test", (X,), (Y,), decoupled=True)


@dataclass(frozen=True)
class Entry:
    key: tuple[str, str]
    signature: Signature
    policy: BatchPolicy = ALONE


class Table:
    """Models by name; the look-up of "odd" has a bug."""

    def __init__(self, *entries: Entry) -> None:
        self._entries = {entry.key[0]: entry for entry in entries}

    def get(self, model: str, version: str) -> Entry:
        if model == "odd":
            raise LookupError("secret of the tenant")
        return self._entries[model]


class NoArray(Echo):
    """Answers 13 with what is no array."""

    def execute(self, staged):
        return {"y": "text"} if staged["x"][0, 0] == 13 else {"y": staged["x"]}

    def stream(self, inputs, parameters):
        yield {"y": inputs["x"]}
        yield {"y": inputs["x"].astype(np.float32)}  # not what the signature says
        yield {"y": inputs["x"]}


def call(number: int, model: str, value: int, **settings: Any) -> bytes:
    context = Context(Principal("s", "t", frozenset()), 0.0, Timeline(0.0), **settings)
    tensor = to_tensor("x", np.array([[value, value]], np.int64))
    request = InferRequest("", model, "1", Tensors((tensor,)), {}, context)
    return encode_call(number, request)


@asynccontextmanager
async def exchange(*models: tuple[str, Signature]):
    """A backend with the models; yields its intake and a stream to it."""
    intake = Intake(asyncio.get_running_loop())
    intake.device.start()
    for name, signature in models:
        intake.device.add_model((name, "1"), NoArray(), signature, ALONE)
    intake.models = Table(*[Entry((name, "1"), signature) for name, signature in models])
    server = aio.server()
    ExchangeService(Batched(intake), "key").register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        method = channel.stream_stream("/penstock.v1.Backend/Exchange")
        yield intake, method(metadata=((ACCESS_KEY, "key"),))
    finally:
        await channel.close()
        await server.stop(grace=None)
        await asyncio.to_thread(intake.device.stop, False, WAIT)


async def answers(stream: aio.StreamStreamCall, number: int) -> list:
    """The next parts: each its call's id and what came."""
    found: list = []
    while len(found) < number:
        frame = await asyncio.wait_for(stream.read(), WAIT)
        assert frame is not grpc.aio.EOF
        found += [(call_id, part) for call_id, part, _ in decode_parts(frame)]
    return found


def internal(part: object) -> bool:
    return isinstance(part, PenstockError) and part.kind is Kind.INTERNAL


async def send(stream: aio.StreamStreamCall, calls: Sequence[bytes]) -> None:
    await stream.write(frame(calls))


async def test_a_call_that_hits_a_bug_is_answered_and_its_neighbours_are_served(caplog):
    async with exchange(("echo", UNARY)) as (intake, stream):
        await send(stream, [call(1, "echo", 1), call(2, "odd", 2), call(3, "echo", 3)])
        found = dict(await answers(stream, 3))
        assert internal(found[2])
        assert found[1].final
        assert found[3].final
        assert intake.in_flight == 0
    name = found[2].message.split()[-1]
    assert f"incident {name}" in caplog.text
    assert "LookupError" in caplog.text
    assert "secret" not in caplog.text + found[2].message


async def test_a_job_that_cannot_be_queued_is_an_incident_of_its_own():
    gate = threading.Event()
    async with exchange(("echo", UNARY)) as (intake, stream):
        held = intake.device.call(lambda: gate.wait(WAIT))
        intake._ids = iter((1, 2, 3))
        (queued,) = decode_requests(frame([call(9, "echo", 9)])).calls
        taken, _ = intake._job(queued, 0)
        taken.id = 2  # the scheduler has it already when the second call comes
        intake.device.submit(taken)
        intake._ids = iter((1, 2, 3))
        await send(stream, [call(1, "echo", 1), call(2, "echo", 2), call(3, "echo", 3)])
        ((number, error),) = await answers(stream, 1)
        assert (number, internal(error)) == (2, True)
        gate.set()
        assert {number for number, _ in await answers(stream, 2)} == {1, 3}
        assert await asyncio.wrap_future(held)


async def test_a_reply_that_cannot_be_encoded_is_an_incident_of_its_own():
    async with exchange(("echo", UNARY)) as (intake, stream):
        await send(stream, [call(1, "echo", 1), call(2, "echo", 13), call(3, "echo", 3)])
        found = dict(await answers(stream, 3))
        assert internal(found[2])
        assert found[1].final
        assert found[3].final
        assert intake.in_flight == 0


async def test_a_streamed_part_that_cannot_be_encoded_is_the_streams_last():
    async with exchange(("parts", STREAM)) as (intake, stream):
        await send(stream, [call(1, "parts", 1, streaming=True)])
        (_, part), (_, error) = await answers(stream, 2)
        assert not part.final
        assert error.kind is Kind.BAD_REPLY
        assert intake.in_flight == 0
        await send(stream, [call(2, "parts", 2, streaming=True)])
        assert {call_id for call_id, _ in await answers(stream, 2)} == {2}


async def test_a_receiver_with_a_bug_gets_an_incident_and_the_next_its_outcome():
    def decoded(number: int, value: int) -> Call:
        (made,) = decode_requests(frame([call(number, "echo", value)])).calls
        assert isinstance(made, Call)
        return made

    got: list = []
    done = asyncio.Event()

    def odd(outcome, signature):
        got.append(outcome.error)
        if outcome.error is None:
            raise KeyError("a bug")

    def good(outcome, signature):
        got.append(outcome)
        done.set()

    async with exchange(("echo", UNARY)) as (intake, _):
        outcomes: list = []
        intake.device._deliver_to = outcomes.extend
        intake.submit_all([(decoded(1, 1), odd), (decoded(2, 2), good)])
        await asyncio.to_thread(until, lambda: len(outcomes) == 2)
        intake._deliver(outcomes)
        await asyncio.wait_for(done.wait(), WAIT)
        assert intake.in_flight == 0
    assert got[0] is None
    assert internal(got[1])
    assert got[2].error is None


async def test_suspects_of_different_gateways_are_taken_one_at_a_time():
    """Or one that waits behind another would be in flight when that kills the backend."""
    gate = threading.Event()
    async with exchange(("echo", UNARY)) as (intake, stream):
        held = intake.device.call(lambda: gate.wait(WAIT))
        await send(stream, [call(1, "echo", 1, suspect=True), call(2, "echo", 2, suspect=True)])
        ((number, refusal),) = await answers(stream, 1)
        assert (number, refusal.kind) == (2, Kind.OCCUPIED)
        gate.set()
        assert (await answers(stream, 1))[0][1].final
        await send(stream, [call(3, "echo", 3, suspect=True)])
        assert (await answers(stream, 1))[0][1].final
        assert await asyncio.wrap_future(held)
