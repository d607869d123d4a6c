"""What the cache counts reaches the page, under bounded labels."""

from aiocache import SimpleMemoryCache

from gateway.cache_metrics import register
from gateway.metrics import Totals
from tests.gateway.telemetry.collected import collected
from tests.policies.cache.kept import Cache, Model, request, route


def samples(totals):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in collected(totals.families())
        for sample in family.samples
    }


async def test_requests_bypasses_and_what_is_kept_are_counted_by_route():
    cache, model, totals = Cache(), Model(), Totals()
    register(totals, cache.filter)
    for asked in (request(1), request(1), request(2, cache_control="no-store")):
        await cache(asked, model)
    await cache(request(3, by=route("other", mode="observe")), model)
    found = samples(totals)
    assert found["penstock_cache_requests_total", "fraud", "enforce", "miss"] == 1
    assert found["penstock_cache_requests_total", "fraud", "enforce", "hit"] == 1
    assert found["penstock_cache_requests_total", "fraud", "enforce", "bypass"] == 1
    assert found["penstock_cache_requests_total", "other", "observe", "miss"] == 1
    assert found["penstock_cache_bypasses_total", "fraud", "no-store"] == 1
    assert found["penstock_cache_kept_total", "fraud"] == 1
    assert found[("penstock_cache_entries",)] == 2
    assert found[("penstock_cache_bytes",)] == cache.memory.entries.bytes
    assert found[("penstock_cache_waiting",)] == 0


async def test_a_store_is_counted_where_there_is_one():
    totals = Totals()
    register(totals, Cache().filter)
    assert not [name for name, *_ in samples(totals) if "store" in name]
    totals = Totals()
    register(totals, Cache(shared=SimpleMemoryCache()).filter)
    assert len([name for name, *_ in samples(totals) if "store" in name]) == 3
