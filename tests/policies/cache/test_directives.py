"""Cache-Control of requests, as RFC 9111 has it."""

from math import inf

import pytest

from policies.cache.directives import NONE, Directives, directives
from protos.errors import Kind, PenstockError
from tests.policies.cache.kept import Cache, Model, request, said


def read(*values):
    return directives([(b"host", b"x"), *((b"cache-control", v.encode()) for v in values)])


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("no-store", Directives(no_store=True)),
        ("No-Cache", Directives(no_cache=True)),
        ("only-if-cached", Directives(only_if_cached=True)),
        ("max-age=5", Directives(max_age=5.0)),
        ('max-age="5"', Directives(max_age=5.0)),
        ("max-age=5, max-age=3", Directives(max_age=3.0)),
        ("min-fresh=7,no-cache", Directives(no_cache=True, min_fresh=7.0)),
        ("max-age=99999999999999999999", Directives(max_age=inf)),
        ("no-transform, max-stale=10, private, foo=bar", NONE),
        ("", NONE),
    ],
)
def test_what_is_asked_for(value, meant):
    assert read(value) == meant


def test_several_headers_are_one_list():
    assert read("no-cache", "max-age=1") == Directives(no_cache=True, max_age=1.0)


def test_nothing_is_the_one_nothing():
    assert read() is NONE


@pytest.mark.parametrize(
    "value", ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "min-fresh=x"]
)
def test_times_that_are_none_are_refused(value):
    with pytest.raises(PenstockError, match="takes a number of seconds"):
        read(value)


async def test_no_cache_executes_and_keeps():
    cache, model = Cache(), Model()
    await cache(request(), model)
    cache.now += 10.0
    await cache(request(cache_control="no-cache"), model)
    assert len(model.asked) == 2
    again = request()
    await cache(again, model)
    assert len(model.asked) == 2
    assert again.context.timeline.cache_age == 0.0


async def test_max_age_and_min_fresh_bound_what_is_given():
    cache, model = Cache(), Model()
    await cache(request(), model)
    cache.now += 10.0
    for asked, executed in (
        ("max-age=10", 0),
        ("min-fresh=50", 0),
        ("min-fresh=51", 1),
        ("max-age=0", 1),
        ("max-age=3", 1),
    ):
        model.asked.clear()
        cache, model = Cache(), Model()
        await cache(request(), model)
        cache.now += 10.0
        model.asked.clear()
        await cache(request(cache_control=asked), model)
        assert len(model.asked) == executed, asked


async def test_only_if_cached_gives_what_is_kept_or_504():
    cache, model = Cache(), Model()
    with pytest.raises(PenstockError) as refused:
        await cache(request(cache_control="only-if-cached"), model)
    assert (refused.value.kind, refused.value.row.http) == (Kind.NOT_CACHED, 504)
    assert not model.asked
    await cache(request(1), model)
    assert said(await cache(request(1, cache_control="only-if-cached"), model)) == [2]


async def test_only_if_cached_of_what_is_never_kept_is_504_as_well():
    cache, model = Cache(), Model()
    with pytest.raises(PenstockError) as refused:
        await cache(request(cache_control="only-if-cached", parameters={"sequence_id": 1}), model)
    assert refused.value.kind is Kind.NOT_CACHED
    assert not model.asked
