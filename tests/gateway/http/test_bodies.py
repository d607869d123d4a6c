"""Bodies that a worker holds together are bounded, and one tenant leaves room for the others."""

import asyncio

import pytest

from gateway.http.bodies import Bodies
from gateway.http.body import read_body
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
