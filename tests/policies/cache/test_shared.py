"""A shared store is not believed, and its failures are misses."""

import asyncio

import pytest
from aiocache import SimpleMemoryCache
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.cache.entry import encode
from policies.cache.seal import SIZE, Seal
from policies.cache.shared import MOST_WAITING, NAME_BYTES, WRITERS, Shared
from tests.policies.cache.kept import SECRET, Cache, Model, part, request, said, turns

KEY, OTHER = bytes(32), b"x" * 32
ENTRY = encode([part(7)], 1000.0, 60.0)


class Store(SimpleMemoryCache):
    """aiocache's own, which fails when told to."""

    down = False
    gate = None
    waiting = 0

    async def _get(self, key, **rest):
        if self.down:
            raise ConnectionError("gone")
        return await super()._get(key, **rest)

    async def _set(self, key, value, **rest):
        if self.gate is not None:
            self.waiting += 1
            await self.gate.wait()
        if self.down:
            raise ConnectionError("gone")
        return await super()._set(key, value, ttl=None)

    def only(self):
        (name,) = self._cache
        return name


def shared(store, secret=SECRET, now=1000.0):
    return Shared(store, Seal(secret), lambda: now)


async def test_what_one_gateway_keeps_another_finds():
    store = Store()
    one = shared(store)
    one.keep(KEY, ENTRY, 60.0)
    await turns()
    assert await shared(store).find(KEY) == ENTRY
    assert await shared(store).find(OTHER) is None
    one.forget(KEY)
    await turns()
    assert await shared(store).find(KEY) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 8 * (len(ENTRY) + SIZE) - 1))
def test_an_entry_with_any_bit_changed_is_none(bit):
    sealed = bytearray(Seal(SECRET).close(KEY, ENTRY))
    sealed[bit // 8] ^= 1 << bit % 8
    assert Seal(SECRET).open(KEY, bytes(sealed)) is None


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"short",
        bytes(SIZE) + ENTRY,
        Seal(b"another secret").close(KEY, ENTRY),
        Seal(SECRET).close(OTHER, ENTRY),
        Seal(SECRET).close(KEY, ENTRY)[:-1],
        Seal(SECRET).close(KEY, ENTRY) + b"\0",
        "text",
    ],
)
async def test_poisoned_crossed_and_truncated_entries_are_misses_and_counted(forged):
    store = Store()
    there = shared(store)
    there.keep(KEY, ENTRY, 60.0)
    await turns()
    store._cache[store.only()] = forged
    assert await there.find(KEY) is None
    assert (there.refused, there.failures) == (1, 0)


async def test_an_old_entry_put_back_is_none():
    store = Store()
    shared(store).keep(KEY, ENTRY, 60.0)
    await turns()
    assert await shared(store, now=1059.9).find(KEY) == ENTRY
    assert await shared(store, now=1060.0).find(KEY) is None


async def test_a_store_that_is_down_makes_misses():
    store = Store()
    store.down = True
    there = shared(store)
    assert await there.find(KEY) is None
    there.keep(KEY, ENTRY, 60.0)
    there.forget(KEY)
    await turns()
    assert there.failures == 2  # aiocache's memory deletes without asking


async def test_few_are_written_at_a_time_and_what_waits_is_bounded():
    store = Store()
    store.gate = asyncio.Event()
    there = shared(store)
    entry = ENTRY + bytes((1 << 20) - len(ENTRY) - SIZE - NAME_BYTES)
    number = MOST_WAITING // (1 << 20)
    for place in range(number + 10):
        there.keep(bytes([place]) * 32, entry, 60.0)
    assert there.dropped == 10
    await turns()
    assert store.waiting == WRITERS
    store.gate.set()
    await there.close()
    assert len(store._cache) == number
    there.keep(KEY, ENTRY, 60.0)  # there is room again
    await there.close()
    assert await there.find(KEY) == ENTRY


async def test_gateways_share_answers():
    store = Store()
    one, other = Cache(shared=store), Cache(shared=store)
    model = Model()
    await one(request(5), model)
    await turns()
    other.now += 10.0
    asked = request(5)
    assert said(await other(asked, model)) == [6]
    assert len(model.asked) == 1
    assert (asked.context.timeline.cache, asked.context.timeline.cache_age) == ("hit", 10.0)
    store.down = True  # from now on it is in memory
    assert said(await other(request(5), model)) == [6]
    assert len(model.asked) == 1


async def test_many_who_miss_ask_the_store_once():
    store = Store()
    await Cache(shared=store)(request(5), Model())
    await turns()
    asked = []
    get = store._get

    async def counted(key, **rest):
        asked.append(key)
        await asyncio.sleep(0)
        return await get(key, **rest)

    store._get = counted
    other, model = Cache(shared=store), Model()
    await asyncio.gather(*(other(request(5), model) for _ in range(100)))
    assert (len(asked), len(model.asked)) == (1, 0)
    assert other.outcomes() == {"hit": 100}


async def test_with_the_store_down_requests_are_executed():
    store = Store()
    store.down = True
    cache, model = Cache(shared=store), Model()
    for _ in range(2):
        assert said(await cache(request(5), model)) == [6]
    assert len(model.asked) == 1


async def test_another_secret_finds_nothing():
    store = Store()
    await Cache(shared=store)(request(5), Model())
    await turns()
    assert await shared(store, b"another secret").find(KEY) is None
    assert SECRET.hex() not in store.only()
