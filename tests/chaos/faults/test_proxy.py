"""The fault proxy, between real sockets."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from chaos.faults.link import CHUNK, WAITING, abort
from chaos.faults.proxy import FaultProxy, Toxics

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MIB = 1024 * 1024
PATIENCE = 30.0
SOON = 0.1  # seconds in which what may pass would have passed


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Gives back what comes, and its end."""
    with suppress(ConnectionError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


@asynccontextmanager
async def proxied(
    serve: Serve = echo, rng: Callable[[], float] = lambda: 0.5
) -> AsyncIterator[FaultProxy]:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        async with FaultProxy(server.sockets[0].getsockname()[1], rng=rng) as proxy:
            async with asyncio.timeout(PATIENCE):
                yield proxy


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=CHUNK)
    try:
        yield reader, writer
    finally:
        writer.close()


async def given_back(client: Client, data: bytes) -> bytes:
    """What comes back of the data while it is sent."""
    reader, writer = client

    async def send() -> None:
        writer.write(data)
        await writer.drain()

    sending = asyncio.create_task(send())
    found = await reader.readexactly(len(data))
    await sending
    return found


async def nothing_comes(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(SOON):
            return not await reader.read(1)
    except TimeoutError:
        return True


@pytest.mark.parametrize(
    "toxics",
    [
        Toxics(),
        Toxics(latency=0.01, jitter=0.02),
        Toxics(slices=1000),
        Toxics(latency=0.005, jitter=0.01, slices=777),
        Toxics(bandwidth=4e6),
    ],
    ids=["nothing", "jitter", "slices", "jittered-slices", "bandwidth"],
)
async def test_bytes_arrive_whole_and_in_order_whatever_delays_them(toxics: Toxics) -> None:
    rng = random.Random(5)
    data = rng.randbytes(300_000)
    async with proxied(rng=rng.random) as proxy, connected(proxy) as client:
        proxy.both(toxics)
        assert await given_back(client, data) == data


async def test_single_bytes_arrive_one_by_one() -> None:
    pieces: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK):
            pieces.append(len(chunk))
        writer.close()

    async with proxied(serve) as proxy, connected(proxy) as (reader, writer):
        proxy.up = Toxics(slices=1, bandwidth=2000)
        writer.write(b"x" * 50)
        writer.write_eof()
        await reader.read()
    assert sum(pieces) == 50
    assert len(pieces) > 5  # a reader that is late finds several together


async def test_latency_takes_its_time_in_one_direction() -> None:
    async with proxied() as proxy, connected(proxy) as client:
        proxy.down = Toxics(latency=0.2)
        begun = time.monotonic()
        await given_back(client, b"x")
        assert time.monotonic() - begun >= 0.2


async def test_bandwidth_is_no_more_than_was_said() -> None:
    async with proxied() as proxy, connected(proxy) as client:
        proxy.up = Toxics(bandwidth=100_000)
        begun = time.monotonic()
        await given_back(client, bytes(20_000))
        assert time.monotonic() - begun >= 0.15


async def test_a_narrow_connection_holds_its_sender_up_instead_of_growing() -> None:
    async with proxied() as proxy, connected(proxy) as (_, writer):
        proxy.up = Toxics(bandwidth=1000)
        sent, most = 0, 2 * CHUNK * WAITING + 16 * MIB  # the kernel's buffers besides
        with suppress(TimeoutError):
            while sent <= most:
                writer.write(bytes(MIB))
                async with asyncio.timeout(1.0):
                    await writer.drain()
                sent += MIB
        assert sent <= most
        writer.transport.abort()


async def test_one_end_may_be_closed_before_the_other() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(str(len(await reader.read())).encode())
        writer.close()

    async with proxied(serve) as proxy, connected(proxy) as (reader, writer):
        writer.write(b"four")
        writer.write_eof()
        assert await reader.read() == b"4"


async def test_a_slow_close_keeps_the_end_back() -> None:
    async with proxied() as proxy, connected(proxy) as (reader, writer):
        proxy.down = Toxics(slow_close=0.3)
        begun = time.monotonic()
        writer.write(b"x")
        writer.write_eof()
        assert await reader.read() == b"x"
        assert time.monotonic() - begun >= 0.3


async def test_a_black_hole_says_nothing_and_keeps_the_connection() -> None:
    async with proxied() as proxy, connected(proxy) as (reader, writer):
        await given_back((reader, writer), b"before")
        proxy.up = Toxics(swallow=True)
        writer.write(b"lost")
        assert await nothing_comes(reader)
        assert proxy.did.swallowed == len(b"lost")
        assert not writer.is_closing()


async def test_what_was_swallowed_is_never_skipped_over() -> None:
    async with proxied() as proxy, connected(proxy) as (reader, writer):
        proxy.both(Toxics(swallow=True))
        writer.write(b"lost")
        assert await nothing_comes(reader)
        proxy.heal()
        writer.write(b"more")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        async with connected(proxy) as client:
            assert await given_back(client, b"anew") == b"anew"


async def test_a_connection_is_swallowed_after_its_time() -> None:
    async with proxied() as proxy, connected(proxy) as (reader, writer):
        proxy.up = Toxics(timeout=1e-9)
        writer.write(b"lost")
        assert await nothing_comes(reader)


async def test_a_limit_ends_the_connection_behind_so_many_bytes() -> None:
    async with proxied() as proxy, connected(proxy) as (reader, writer):
        proxy.down = Toxics(limit=5)
        writer.write(b"more than five")
        assert await reader.read() == b"more "


async def test_a_reset_in_mid_reply_is_seen_as_one_by_both_ends() -> None:
    seen: asyncio.Queue[type[Exception]] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"half of it, and the rest")
        try:
            await reader.read()
        except ConnectionResetError as error:
            seen.put_nowait(type(error))

    async with proxied(serve) as proxy:
        proxy.down = Toxics(reset_after=4)
        async with connected(proxy) as (reader, _):
            assert await reader.readexactly(4) == b"half"
            with pytest.raises(ConnectionResetError):
                await reader.read()
        assert await seen.get() is ConnectionResetError
        assert proxy.did.resets == 1


async def test_a_reset_of_one_end_reaches_the_other() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        abort(writer)

    async with proxied(serve) as proxy, connected(proxy) as (reader, writer):
        writer.write(b"x" * 100_000)
        with pytest.raises(ConnectionResetError):
            await reader.read()


@pytest.mark.parametrize("reset", [True, False])
async def test_connections_can_be_cut(reset: bool) -> None:
    async with proxied() as proxy, connected(proxy) as client:
        await given_back(client, b"x")
        await proxy.cut(reset=reset)
        if reset:
            with pytest.raises(ConnectionResetError):
                await client[0].read()
        else:
            assert await client[0].read() == b""
        async with connected(proxy) as another:
            assert await given_back(another, b"again") == b"again"


async def test_refusing_keeps_those_who_are_there_and_accepts_again_on_the_same_port() -> None:
    async with proxied() as proxy, connected(proxy) as client:
        await given_back(client, b"x")
        port = proxy.port
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert await given_back(client, b"still here") == b"still here"
        await proxy.accept()
        assert proxy.port == port
        async with connected(proxy) as another:
            assert await given_back(another, b"back") == b"back"
        assert proxy.accepted == 2


async def test_nobody_behind_it_is_a_reset() -> None:
    async with proxied() as proxy:
        proxy.target = 1
        async with connected(proxy) as (reader, _):
            with pytest.raises(ConnectionResetError):
                await reader.read()
