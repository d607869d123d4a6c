"""Which requests are kept with their replies, and that keeping changes nothing."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from policies.samples import LARGEST, Sample, Samples
from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import Chat, Embedding, Part, Tensor, Tensors
from tests.routing.routed import OK, route, routed

SAMPLED = {"privacy": {"policy": "p"}, "audit": {"payloads": "50%"}}


class Kept:
    """A filter whose next number is `number`, and the samples that came."""

    def __init__(self, number: float = 0.0) -> None:
        self.samples: list[Sample] = []
        self.filter = Samples(lambda: number, self.samples.append, lambda: 7.0)

    async def of(self, reply: Reply, by=None) -> Reply:
        async def service(_):
            return reply

        return await self.filter(routed(by or route(**SAMPLED)), service)


def part(data: bytes = b"\0\0\0\0", *, final: bool = False) -> Part:
    return Part(Tensors((Tensor("y", "FP32", (1,), data),)), "1", {}, final)


async def parts(*given: Part | BaseException) -> AsyncIterator[Part]:
    for each in given:
        await asyncio.sleep(0)
        if isinstance(each, BaseException):
            raise each
        yield each


async def test_a_share_of_requests_is_kept_with_their_replies():
    kept = Kept(0.49)
    assert await kept.of(OK) is OK
    (sample,) = kept.samples
    assert (sample.at, sample.parts) == (7.0, [OK.first])
    kept = Kept(0.5)
    assert await kept.of(OK) is OK
    assert kept.samples == []


@pytest.mark.parametrize("by", [route(), route(audit={"requests": "all"})])
async def test_nothing_is_kept_where_no_share_is_asked_for(by):
    await (kept := Kept()).of(OK, by)
    assert (kept.samples, kept.filter.left_out) == ([], 0)


async def test_a_stream_is_kept_when_it_is_over():
    kept, closed = Kept(), []
    given = [part(), part(), part(final=True)]
    reply = await kept.of(Reply(given[0], parts(*given[1:]), lambda: closed.append(1)))
    assert kept.samples == []
    assert [each async for each in reply.rest] == given[1:]
    reply.on_close()
    assert [sample.parts for sample in kept.samples] == [given]
    assert (closed, kept.filter.left_out) == ([1], 0)


@pytest.mark.parametrize("failure", [PenstockError(Kind.LOST, "gone"), asyncio.CancelledError()])
async def test_a_stream_that_fails_is_left_out(failure):
    kept = Kept()
    reply = await kept.of(Reply(part(), parts(part(), failure)))
    with pytest.raises(type(failure)):
        [each async for each in reply.rest]
    reply.on_close()
    assert (kept.samples, kept.filter.left_out) == ([], 1)


async def test_a_stream_that_nobody_reads_to_its_end_is_left_out():
    kept = Kept()
    reply = await kept.of(Reply(part(), parts(part(), part(final=True))))
    await anext(reply.rest)
    reply.on_close()
    assert (kept.samples, kept.filter.left_out) == ([], 1)


async def test_what_is_too_large_is_left_out_and_passes():
    kept = Kept()
    large = Reply(part(bytes(LARGEST), final=True))
    assert await kept.of(large) is large
    reply = await kept.of(Reply(part(), parts(part(bytes(LARGEST)), part(final=True))))
    assert len([each async for each in reply.rest]) == 2
    chat = Reply(Part(Chat({"choices": ["x" * LARGEST]}), "1", {}, True))
    assert await kept.of(chat) is chat
    assert (kept.samples, kept.filter.left_out) == ([], 3)


async def test_objects_are_kept_as_their_json_which_takes_less_memory():
    kept = Kept()
    body = {"choices": [{"index": 0, "message": {"content": "four"}}]}
    await kept.of(Reply(Part(Chat(body), "1", {}, True)))
    (sample,) = kept.samples
    assert sample.parts == [Part(Chat(body), "1", {}, True)]
    assert sample.parts[0].payload.body is not body
    assert sample.size < sample.held < 2000


async def test_vectors_are_kept_and_what_json_cannot_hold_is_left_out():
    kept = Kept()
    vectors = Embedding({"data": [{"embedding": np.float32([1.5, 2])}]})
    await kept.of(Reply(Part(vectors, "1", {}, True)))
    assert kept.samples[0].parts[0].payload.body == {"data": [{"embedding": [1.5, 2.0]}]}
    odd = Reply(Part(Chat({"number": 2**70}), "1", {}, True))
    assert await kept.of(odd) is odd
    assert (len(kept.samples), kept.filter.left_out) == (1, 1)
