"""The memory as a cache of aiocache's kind."""

import pytest

from policies.cache.memory import Memory


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def memory(clock):
    return Memory(4096, lambda: clock[0])


async def test_it_does_what_aiocache_says_that_caches_do(memory, clock):
    assert await memory.get(b"a") is None
    assert await memory.get(b"a", default=b"else") == b"else"
    assert await memory.set(b"a", b"answer", ttl=5.0)
    assert await memory.get(b"a") == b"answer"
    assert await memory.exists(b"a")
    clock[0] = 5.0
    assert not await memory.exists(b"a")
    await memory.set(b"b", b"for ever")
    clock[0] = 1e9
    assert await memory.get(b"b") == b"for ever"
    assert await memory.delete(b"b") == 1
    assert await memory.delete(b"b") == 0
    await memory.set(b"c", b"x")
    await memory.clear()
    assert await memory.get(b"c") is None


async def test_what_could_be_changed_behind_its_back_is_refused(memory):
    with pytest.raises(TypeError, match="only bytes are kept, not list"):
        await memory.set(b"a", [1])


async def test_both_doors_lead_to_the_same_entries(memory):
    memory.keep(b"a", b"answer", 5.0)
    assert await memory.get(b"a") == b"answer"
    await memory.set(b"b", b"other", ttl=5.0)
    assert memory.find(b"b") == b"other"
