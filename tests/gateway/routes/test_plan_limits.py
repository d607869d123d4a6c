"""Which limits refuse recorded requests."""

from typing import Any

import pytest

from gateway.routes.plan_limits import Firing, LimitReplay
from routing.decisions import Decision
from tests.routing.backtest.recorded_decisions import by_users
from tests.routing.rules.written_routes import principal, route, table

KEY = {"per": "key", "requests": "2/s", "burst": 2}
TENANT = {"per": "tenant", "requests": "15/s", "burst": 15}
SECONDS = 10.0
AT = [float(second) for second in range(10)]


def fired(limits: list[dict[str, Any]], decisions: list[Decision]) -> list[Firing]:
    """What the limits make of the records in ten seconds."""
    limited = table(route(limits=limits)).match("fraud", principal(), ())
    replay = LimitReplay()
    for decision in decisions:
        replay.add(decision, limited)
    return replay.firings(SECONDS)


def users(count: int, sticky: str | None = None, **changes: Any) -> list[Decision]:
    """Each asks once a second; the route in which that was recorded splits by `sticky`."""
    said = {} if sticky is None else {"sticky": {"key": sticky}}
    return by_users(table(route(**said)), count, each=AT, **changes)


@pytest.mark.parametrize("sticky", [None, "jwt.sub"])
def test_each_key_has_a_bucket(sticky: str | None) -> None:
    (found,) = fired([KEY], users(20, sticky))
    assert (found.refused.estimate, found.undetermined.estimate) == (0.0, 0.0)


def test_keys_that_are_not_recorded_share_no_bucket() -> None:
    (found,) = fired([KEY], users(20, "tenant"))
    assert (found.refused.estimate, found.by_tenant) == (0.0, {})
    assert found.undetermined.estimate == 20.0


def test_where_some_keys_are_known_those_are_counted() -> None:
    busy = [each for each in users(1) for _ in range(5)]  # five at once
    (found,) = fired([KEY], sorted(busy + users(20, "tenant"), key=lambda each: each.at))
    assert found.refused.estimate == pytest.approx(3.0)
    assert found.undetermined.estimate == 20.0


def test_other_limits_are_known_all_the_same() -> None:
    by_key, by_tenant = fired([KEY, TENANT], users(20, "tenant"))
    assert by_key.undetermined.estimate == 20.0
    assert by_tenant.refused.estimate == pytest.approx(5.0)
    assert by_tenant.undetermined.estimate == 0.0


def test_rows_that_never_fit_are_refused_whoever_sends_them() -> None:
    (found,) = fired([{"per": "key", "rows": "1k/s", "burst": 50}], users(2, "tenant", rows=100))
    assert (found.refused.estimate, found.undetermined.estimate) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"per": "tenant", "tokens": "100k/1m"}, "100000/60s tokens, 100000 at once"),
        ({"per": "tenant", "concurrency": 8}, "8 under way"),
        (
            {"per": "tenant", "budget": {"every": "month", "deviceSeconds": 60}},
            "60 device-seconds a month",
        ),
    ],
)
def test_what_records_dont_tell_enough_for_is_said_to_be_unknown(
    limit: dict[str, Any], said: str
) -> None:
    (found,) = fired([limit], users(20))
    assert (found.limit, found.refused.estimate, found.undetermined.estimate) == (said, 0.0, 20.0)


def test_a_limit_is_replayed_for_the_tenants_that_it_is_for() -> None:
    theirs, others = (TENANT | {"tenants": [tenant]} for tenant in ("ac*", "other"))
    for_them, for_others = fired([theirs, others], users(20))
    assert for_them.limit == "15/1s requests, 15 at once for ac*"
    assert for_them.refused.estimate == pytest.approx(5.0)
    assert for_others.refused.estimate == 0.0
