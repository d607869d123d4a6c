import pytest

from policies.limits.amounts import burst, rate_of, unit, what
from tests.policies.limits.limited import limit

RATE = {"requests": "10/s"}


@pytest.mark.parametrize(
    ("written", "counts", "most"),
    [
        (RATE, "requests", 10),
        ({"requests": "1/10s"}, "requests", 1),
        ({"rows": "5k/1m", "burst": 7}, "rows", 7),
        ({"tokens": "1M/1h"}, "tokens", 1e6),
        ({"concurrency": 3}, "concurrency", 3),
        ({"budget": {"every": "day", "requests": 8}}, "requests", 8),
        ({"budget": {"every": "month", "rows": 8}}, "rows", 8),
        ({"budget": {"every": "month", "tokens": 8}}, "tokens", 8),
        ({"budget": {"every": "day", "deviceSeconds": 8}}, "device-seconds", 8),
    ],
)
def test_a_limit_counts_one_thing_of_which_so_much_may_come_at_once(
    written: dict[str, object], counts: str, most: float
) -> None:
    assert unit(limit(**written)) == counts
    assert burst(limit(**written)) == most


@pytest.mark.parametrize("written", [{"concurrency": 3}, {"budget": {"every": "day", "rows": 8}}])
def test_only_rates_have_a_rate(written: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="have no rate"):
        rate_of(limit(**written))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (RATE, RATE | {"mode": "observe"}, True),
        (RATE, RATE | {"tenants": ["free-*"]}, True),
        (RATE, {"requests": "10/1s"}, True),
        (RATE, {"requests": "11/s"}, False),
        (RATE, RATE | {"burst": 20}, False),
        (RATE, RATE | {"per": "key"}, False),
        (RATE, {"rows": "10/s"}, False),
        ({"budget": {"every": "day", "rows": 1}}, {"budget": {"every": "day", "rows": 2}}, True),
        ({"budget": {"every": "day", "rows": 1}}, {"budget": {"every": "month", "rows": 1}}, False),
    ],
)
def test_a_limit_stays_the_same_while_its_counts_mean_the_same(
    one: dict[str, object], other: dict[str, object], same: bool
) -> None:
    assert (what(limit(**one)) == what(limit(**other))) is same


def test_ids_are_for_people_too() -> None:
    assert (
        what(limit(budget={"every": "month", "deviceSeconds": 1})) == "tenant/device-seconds/month"
    )
    assert what(limit(per="key", concurrency=2)) == "key/concurrency"
    assert what(limit(**RATE)).startswith("tenant/requests/")
