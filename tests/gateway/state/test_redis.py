"""The client of a server that may fail, against a real one."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chaos.ports import free_ports
from gateway.state.redis import LOST, MOST_CONNECTIONS, Redis, Script
from gateway.state.redis_ledger import RedisLedger
from gateway.state.settings import StateSettings
from protos.tls import ClientTls
from tests.gateway.state.busy_loop import STALL, busy_loop
from tests.gateway.state.redis_server import RedisServer
from tests.pki import Authority

PATIENCE = 30.0  # seconds for a condition, on a busy machine


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@asynccontextmanager
async def client(settings: StateSettings, patience: float = 10.0) -> AsyncIterator[Redis]:
    redis = Redis(settings, patience=patience, probe_interval=0.02)
    await redis.start()
    try:
        yield redis
    finally:
        await redis.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)


async def test_replies_are_bytes_numbers_and_none(shared: RedisServer) -> None:
    async with client(shared.settings) as redis:
        assert await redis.execute("SET", "a", b"\x00\xff") == b"OK"
        assert await redis.execute("GET", "a") == b"\x00\xff"
        assert await redis.execute("GET", "nothing") is None
        assert await redis.execute("INCR", "count") == 1


async def test_many_calls_at_once_each_get_their_own_reply(shared: RedisServer) -> None:
    async with client(shared.settings) as redis:
        words = [f"word-{i}" for i in range(200)]
        assert await asyncio.gather(*(redis.execute("ECHO", each) for each in words)) == [
            each.encode() for each in words
        ]


async def test_a_script_is_sent_once_and_survives_being_forgotten(shared: RedisServer) -> None:
    double = Script("return ARGV[1] * 2")
    async with client(shared.settings) as redis:
        assert await redis.evaluate(double, 0, 21) == 42
        await redis.execute("SCRIPT", "FLUSH")
        assert await redis.evaluate(double, 0, 4) == 8


async def test_a_cancelled_call_leaves_no_reply_to_the_next(shared: RedisServer) -> None:
    async with client(shared.settings) as redis:
        await redis.execute("DEL", "nobody")
        slow = asyncio.create_task(redis.execute("BLPOP", "nobody", 0))
        async with asyncio.timeout(PATIENCE):
            while b"cmd=blpop" not in await redis.execute("CLIENT", "LIST"):
                pass  # until it has been sent; it isn't answered
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)

        replies = [await redis.execute("ECHO", f"{i}") for i in range(20)]

    assert replies == [f"{i}".encode() for i in range(20)]


async def test_a_call_that_finds_no_room_among_others_is_lost_alone(shared: RedisServer) -> None:
    async with client(shared.settings) as redis:
        await redis.execute("DEL", "nobody")
        slow = [
            asyncio.create_task(redis.execute("BLPOP", "nobody", 0))
            for _ in range(MOST_CONNECTIONS)
        ]
        await asyncio.sleep(0)
        assert await redis.execute("GET", "a", patience=0.01) is LOST
        assert (redis.up, redis.losses, redis.lost_calls) == (True, 0, 1)
        # The time of a call that waits begins when there is room for it.
        waits = asyncio.create_task(redis.execute("ECHO", "later"))
        await asyncio.sleep(0)
        slow.pop().cancel()
        assert await waits == b"later"
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_a_stall_of_our_own_is_no_loss_of_the_server(shared: RedisServer) -> None:
    async with client(shared.settings) as redis:
        await redis.execute("DEL", "nobody")
        with busy_loop():
            # The server is well, and answers when the list has something.
            assert await redis.execute("BLPOP", "nobody", 0, patience=STALL) is LOST
        assert redis.up


async def test_what_the_server_refuses_is_lost_alone(shared: RedisServer) -> None:
    async with client(shared.settings) as redis:
        await redis.execute("SET", "text", "x")
        assert await redis.execute("INCR", "text") is LOST
        assert redis.up
        assert await redis.execute("GET", "text") == b"x"


async def test_a_server_that_hangs_costs_one_wait_and_comes_back(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with client(server.settings, patience=0.05) as redis:
            await until(lambda: redis.up)
            server.pause()
            while redis.up:  # once, unless this machine is too busy to know whose fault it was
                assert await redis.execute("GET", "a") is LOST
            # Nothing is awaited from here on: the call ends without the loop having turned.
            with pytest.raises(StopIteration) as ended:
                redis.execute("GET", "a").send(None)
            assert ended.value.value is LOST
            server.resume()
            await until(lambda: redis.up)
            assert redis.losses >= 1


async def test_a_server_that_dies_and_starts_again_is_found(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with client(server.settings) as redis:
            assert await redis.execute("SET", "a", "1") == b"OK"
            server.kill()
            assert await redis.execute("GET", "a") is LOST
            server.start()
            await until(lambda: redis.up)
            assert await redis.execute("GET", "a") is None


async def test_a_server_that_was_restarted_between_two_calls_is_not_lost(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with client(server.settings) as redis:
            assert await redis.execute("SET", "a", "1") == b"OK"
            server.kill()
            server.start()
            for _ in range(5):
                await asyncio.sleep(0)  # the loop learns that its connection was closed
            assert await redis.execute("GET", "a") is None
            assert redis.losses == 0


async def test_without_a_server_everything_is_lost_and_nothing_raises() -> None:
    async with client(StateSettings(url="redis://127.0.0.1:1")) as redis:
        assert not redis.up
        assert await redis.execute("GET", "a") is LOST


async def test_the_password_comes_from_its_file_and_is_never_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "password"
    file.write_text("right-canary\n")
    with RedisServer(tmp_path, "--requirepass", "right-canary") as server:
        settings = StateSettings.model_validate({"url": server.url, "passwordFile": file})
        async with client(settings) as redis:
            assert await redis.execute("PING") == b"PONG"
        file.write_text("wrong-canary")
        async with client(settings) as redis:
            assert not redis.up
            assert await redis.execute("PING") is LOST
            assert "canary" not in repr(redis)
    assert "canary" not in caplog.text


async def test_over_tls_the_server_has_to_show_a_certificate_of_its_authority(
    tmp_path: Path,
) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "another authority")
    pair = ours.issue("redis")
    (port,) = free_ports(1)
    flags = ("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no")
    files = ("--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key))
    with RedisServer(tmp_path, *flags, *files, "--tls-ca-cert-file", str(ours.certificate)):
        for authority, up in ((ours, True), (theirs, False)):
            tls = ClientTls(ca=authority.certificate)
            settings = StateSettings(url=f"rediss://127.0.0.1:{port}", tls=tls)
            async with client(settings) as redis:
                assert redis.up is up
                assert await redis.execute("PING") == (b"PONG" if up else LOST)


async def test_a_former_primary_is_left_for_where_its_name_leads_now(
    shared: RedisServer,
) -> None:
    async with client(shared.settings) as redis:
        await redis.execute("REPLICAOF", "127.0.0.1", "1")
        try:
            assert await redis.execute("SET", "a", "1") is LOST
            assert redis.losses == 1
        finally:
            await until(lambda: redis.up)
            await redis.execute("REPLICAOF", "NO", "ONE")
        assert await redis.execute("SET", "a", "1") == b"OK"


async def test_whoever_answers_without_being_redis_is_a_loss_until_redis_answers() -> None:
    said = [b"+OK\r\n"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(said[0])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client(StateSettings(url=f"redis://127.0.0.1:{port}")) as redis:
        assert not redis.up  # what it is greeted with has one answer
        said[0] = b"+PONG\r\n"
        await until(lambda: redis.up)
        assert await RedisLedger(redis).exchange("one", []) is None
        assert redis.losses == 2
