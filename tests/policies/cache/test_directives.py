"""Cache-Control of requests, as RFC 9111 has it."""

from math import inf

import pytest

from policies.cache.directives import NONE, Directives, directives
from protos.errors import PenstockError


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
