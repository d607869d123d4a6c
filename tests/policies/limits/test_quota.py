"""What clients are told of their limits."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.limits.quota import Quotas
from protos.errors import PenstockError
from protos.timeline import Quota
from tests.policies.limits.limited import (
    NOON,
    Clock,
    admitted,
    limit,
    limits_by,
    refusal,
    replied,
    request,
    route,
)


def quota(left: float, wait: float = 0.0, **written: object) -> Quota:
    return Quotas(limit(**written), lambda: NOON).at(left, wait)


@pytest.mark.parametrize(
    ("written", "left", "told"),
    [
        ({"requests": "100/s"}, 60.0, Quota("requests-per-tenant", 100, 1, 60, 0.4)),
        ({"requests": "100/s", "burst": 200}, 200.0, Quota("requests-per-tenant", 200, 2, 200, 0)),
        ({"requests": "100/s", "burst": 50}, 10.0, Quota("requests-per-tenant", 100, 1, 10, 0.4)),
        (
            {"per": "key", "tokens": "100k/1m"},
            -5.0,
            Quota("tokens-per-key", 100_000, 60, 0, 60.003),
        ),
        ({"per": "model", "rows": "5/100ms"}, 5.0, Quota("rows-per-model", 50, 1, 5, 0)),
        (
            {"per": "route", "requests": "1/1d"},
            0.5,
            Quota("requests-per-route", 1, 86_400, 0, 43_200),
        ),
        (
            {"budget": {"every": "day", "tokens": 5000}},
            1200.9,
            Quota("tokens-per-tenant", 5000, 86_400, 1200, 43_200),
        ),
        ({"concurrency": 8}, 3.0, Quota("concurrency-per-tenant", 8, 0, 3, 0)),
    ],
)
def test_a_limit_is_told_as_a_quota_of_a_window(
    written: dict[str, object], left: float, told: Quota
) -> None:
    found = quota(left, **written)
    assert found[:4] == told[:4]
    assert found.reset == pytest.approx(told.reset)


def test_a_refused_request_is_told_when_to_come_again() -> None:
    assert quota(0.3, 0.7, requests="1/s").reset == 0.7
    assert quota(0.0, 1.0, concurrency=1).reset == 1.0


@settings(deadline=None, max_examples=100)
@given(
    amount=st.integers(1, 10_000),
    period=st.sampled_from(["50ms", "1s", "7s", "1m", "1h"]),
    burst=st.none() | st.integers(1, 50_000),
    part=st.floats(0.0, 1.0),
)
def test_what_remains_is_never_more_than_the_quota(
    amount: int, period: str, burst: int | None, part: float
) -> None:
    written = {"requests": f"{amount}/{period}"} | ({"burst": burst} if burst else {})
    full = float(burst or amount)
    found = quota(part * full, **written)
    assert 0 <= found.remaining <= found.limit
    assert found.window >= 1
    assert found.reset >= 0


def seen(of, *tenants: str) -> list[tuple[str, int] | None]:
    """The quotas that requests of these tenants are told, one after the other."""
    limits = limits_by(Clock())
    found: list[tuple[str, int] | None] = []
    for tenant in tenants:
        given_ = request(of, tenant=tenant)
        with suppress(PenstockError):
            replied(limits, given_)
        told = given_.context.timeline.quota
        found.append((told.policy, told.remaining) if told else None)
    return found


def test_of_several_limits_the_one_nearest_to_its_end_is_told() -> None:
    of = route(limit(requests="100/s"), limit(per="route", requests="3/s"))
    assert seen(of, "a", "b", "a") == [
        ("requests-per-route", 2),
        ("requests-per-route", 1),
        ("requests-per-route", 0),
    ]


def test_refusals_tell_what_refused_them() -> None:
    of = route(limit(per="route", requests="9/s"), limit(requests="1/s"))
    assert seen(of, "a", "a")[1] == ("requests-per-tenant", 0)


@pytest.mark.parametrize(
    "written",
    [
        {"requests": "1/s", "mode": "observe"},
        {"concurrency": 3},
        {"requests": "1/s", "tenants": ["b"]},
    ],
)
def test_limits_that_hold_nobody_back_are_not_told(written: dict[str, object]) -> None:
    assert seen(route(limit(**written)), "a", "a") == [None, None]


def test_the_refused_are_marked_with_who_refused_them() -> None:
    limits, given_ = limits_by(Clock()), request(route(limit(requests="1/s")))
    assert admitted(limits, given_)
    assert not given_.context.timeline.refused
    refusal(limits, given_)
    assert given_.context.timeline.refused == "limits"
