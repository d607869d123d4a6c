"""Bodies that a worker holds together are bounded, and one tenant leaves room for the others."""

import asyncio
import gzip
import random
import zlib
from typing import Any

import pytest

from gateway.http import body as body_module
from gateway.http.bodies import Bodies
from gateway.http.body import UNCOUNTED_BYTES, read_body
from protos.errors import Kind, PenstockError


async def held(bodies: Bodies, tenant: str, size: int, until: asyncio.Event) -> None:
    bodies.hold(tenant, size)
    await until.wait()


async def refusal(bodies: Bodies, tenant: str, size: int) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        await held(bodies, tenant, size, asyncio.Event())
    return caught.value


async def test_one_tenant_has_half_the_room_and_all_together_the_whole() -> None:
    bodies, over = Bodies(40, 100), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(held(bodies, "acme", 40, over))
        tasks.create_task(held(bodies, "globex", 40, over))
        await asyncio.sleep(0)
        refused = await refusal(bodies, "acme", 11)
        assert (refused.kind, refused.retry_after) == (Kind.RATE_LIMITED, 1.0)
        assert "limits.bodies" in refused.message
        assert (await refusal(bodies, "initech", 21)).kind is Kind.OVERLOADED
        over.set()


async def test_there_is_room_again_when_a_request_is_over_however_it_ends() -> None:
    bodies = Bodies(40, 40)
    for _ in range(3):
        task = asyncio.create_task(held(bodies, "acme", 40, asyncio.Event()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert repr(bodies) == "<Bodies 0 of 40 bytes, 0 tenants>"


@pytest.mark.parametrize(
    ("headers", "told"), [([(b"content-length", b"6")], [6]), ([], [3, 3])], ids=["whole", "chunks"]
)
async def test_a_body_is_counted_before_it_is_gathered(
    headers: list[tuple[bytes, bytes]], told: list[int]
) -> None:
    counted: list[int] = []
    pieces = iter([(b"abc", True), (b"def", False)])

    async def receive() -> dict[str, object]:
        body, more = next(pieces)
        return {"type": "http.request", "body": body, "more_body": more}

    assert await read_body({"headers": headers}, receive, 10, counted.append) == b"abcdef"
    assert counted == told


async def test_a_body_that_comes_with_its_head_is_not_counted() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"abc"}

    counted: list[int] = []
    headers = [(b"content-length", b"3")]
    assert await read_body({"headers": headers}, receive, 10, counted.append) == b"abc"
    assert counted == []


async def test_a_larger_one_is_counted_wherever_it_comes() -> None:
    body = bytes(UNCOUNTED_BYTES + 1)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body}

    counted: list[int] = []
    assert await read_body({"headers": []}, receive, 1 << 20, counted.append) == body
    assert counted == [len(body)]


def packed(body: bytes, encoding: str) -> bytes:
    return gzip.compress(body) if encoding == "gzip" else zlib.compress(body)


async def told_of(body: bytes, encoding: str) -> tuple[list[int], list[int]]:
    """Of what `hold` was told, before anything was unpacked and in all."""
    counted, before, unpacked = list[int](), list[int](), body_module.unpack

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": packed(body, encoding)}

    def unpack(*arguments: Any) -> bytes:
        before.extend(counted)
        return unpacked(*arguments)

    headers = [(b"content-encoding", encoding.encode())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body_module, "unpack", unpack)
        assert await read_body({"headers": headers}, receive, 8 << 20, counted.append) == body
    return before, counted


@pytest.mark.parametrize(("encoding", "room"), [("gzip", 2 << 20), ("deflate", 8 << 20)])
async def test_a_compressed_body_has_its_room_before_it_is_unpacked(
    encoding: str, room: int
) -> None:
    noise = random.Random(1).randbytes(40_000)
    body = noise + bytes((2 << 20) - len(noise))
    length = len(packed(body, encoding))
    before, counted = await told_of(body, encoding)
    assert before == [length, room]
    assert sum(counted) == length + len(body)


async def test_a_small_compressed_body_has_room_before_it_is_unpacked_as_well() -> None:
    body = bytes(1 << 20)
    assert await told_of(body, "gzip") == ([len(body)], [len(body), 0])
    assert await told_of(b"small", "gzip") == ([], [])


async def test_what_unpacking_has_not_needed_is_given_back_and_many_pieces_are_one_task() -> None:
    bodies = Bodies(40, 80)

    async def request() -> None:
        for _ in range(30):
            bodies.hold("acme", 1)
        bodies.hold("acme", -20)
        assert repr(bodies) == "<Bodies 10 of 80 bytes, 1 tenants>"

    task = asyncio.create_task(request())
    await asyncio.wait([task])
    task.result()
    await asyncio.sleep(0)  # its callbacks come in the order in which they were added
    assert repr(bodies) == "<Bodies 0 of 80 bytes, 0 tenants>"
