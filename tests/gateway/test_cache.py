"""The cache as a worker has it: its share of the memory, its secret, and a store in Redis."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cache import KEY_FILE, Lost, RedisCache, cache_headers, stores
from gateway.config import Config, load_config
from gateway.state.redis import Redis
from policies.cache.entry import encode
from policies.cache.seal import Seal
from policies.cache.shared import Shared
from protos.errors import PenstockError
from protos.strict_yaml import ConfigError
from protos.timeline import Timeline
from protos.values import Part, Tensors
from tests.gateway.state.redis_server import RedisServer

KEY = bytes(32)
ENTRY = encode([Part(Tensors(()), "1", {}, True)], 1000.0, 60.0)


def config(folder: Path, more: str = "") -> Config:
    file = folder / "penstock.yaml"
    file.write_text(f"apiVersion: penstock/v1\nkind: Penstock\nstateFolder: {folder}/state\n{more}")
    return load_config(file)


def test_workers_divide_the_memory(tmp_path: Path) -> None:
    settings = config(tmp_path, "workers: 4\ncache: {memory: 8MiB, maxEntry: 64KiB}\n")
    made = stores(settings, None)
    assert made.memory.entries.budget == 2 << 20
    assert made.most == 64 << 10
    assert made.shared is None


def test_a_gateway_makes_a_key_of_its_own_which_only_it_can_read(tmp_path: Path) -> None:
    stores(config(tmp_path), None)
    key = tmp_path / "state" / KEY_FILE
    assert len(key.read_bytes()) == 32
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    stores(config(tmp_path), None)
    assert key.read_bytes() == before


def test_without_a_state_folder_it_serves_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("no folder")
    assert stores(config(tmp_path), None)
    assert "this process's alone" in caplog.text


@pytest.mark.parametrize(
    ("content", "why"), [(b"short", "5 bytes, 16 are needed"), (None, "No such")]
)
def test_a_key_file_that_is_unusable_is_an_error(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(PenstockError, match=why):
        stores(config(tmp_path, "cache: {keyFile: key}\n"), None)


def test_an_entry_larger_than_the_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="maxEntry is larger than memory"):
        config(tmp_path, "cache: {memory: 1KiB}\n")


def test_what_clients_are_told() -> None:
    assert cache_headers(Timeline(0.0)) == []
    assert cache_headers(Timeline(0.0, cache="miss")) == [("x-cache", "miss")]
    assert cache_headers(Timeline(0.0, cache="hit", cache_age=7.9)) == [
        ("x-cache", "hit"),
        ("age", "7"),
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


async def test_redis_is_a_cache_of_aiocaches_kind(server: RedisServer) -> None:
    client = Redis(server.settings, patience=10.0)
    cache = RedisCache(client)
    assert await cache.get("a") is None
    assert await cache.set("a", b"\x00\xff", ttl=100.0)
    assert await cache.get("a") == b"\x00\xff"
    assert 0 < await client.execute("PTTL", "a") <= 100_000
    assert await cache.exists("a")
    assert await cache.delete("a") == 1
    assert not await cache.exists("a")
    await client.close()


async def test_large_answers_lose_no_more_than_the_caches_own_line(server: RedisServer) -> None:
    state = Redis(server.settings, patience=10.0)
    kept = Redis(server.settings, "shared cache", patience=10.0)
    there = Shared(RedisCache(kept), Seal(b"secret"), lambda: 1000.0)
    server.pause()
    try:
        there.keep(KEY, ENTRY, 60.0)
        await there.close()  # a write has its own patience
    finally:
        server.resume()
    assert (there.failures, kept.losses, state.up) == (1, 1, True)
    assert await state.execute("PING") == b"PONG"
    for client in (state, kept):
        await client.close()


async def test_a_store_that_hangs_costs_a_wait_once_and_makes_misses(server: RedisServer) -> None:
    client = Redis(server.settings, patience=1.0, probe_interval=0.02)
    there = Shared(RedisCache(client), Seal(b"secret"), lambda: 1000.0)
    there.keep(KEY, ENTRY, 60.0)
    await there.close()
    assert await there.find(KEY) == ENTRY
    server.pause()
    try:
        for _ in range(200):  # of which one waits
            assert await there.find(KEY) is None
        assert (there.failures, client.losses) == (200, 1)
        with pytest.raises(Lost):
            await RedisCache(client).get("a")
    finally:
        server.resume()
    async with asyncio.timeout(30.0):
        while await there.find(KEY) is None:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.02)
    await client.close()
