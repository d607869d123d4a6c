import pytest

from gateway.ratelimit_headers import ratelimit_headers
from protos.timeline import Quota


@pytest.mark.parametrize(
    ("quota", "policy", "limit"),
    [
        (
            Quota("requests-per-tenant", 200, 2, 17, 0.25),
            '"requests-per-tenant";q=200;w=2',
            '"requests-per-tenant";r=17;t=1',
        ),
        (
            Quota("tokens-per-key", 100_000, 60, 0, 12.0),
            '"tokens-per-key";q=100000;w=60',
            '"tokens-per-key";r=0;t=12',
        ),
        (
            Quota("rows-per-route", 5, 1, 5, 0.0),
            '"rows-per-route";q=5;w=1',
            '"rows-per-route";r=5',
        ),
        (
            Quota("concurrency-per-tenant", 8, 0, 0, 1.0),
            '"concurrency-per-tenant";q=8;qu="concurrent-requests"',
            '"concurrency-per-tenant";r=0;t=1',
        ),
    ],
)
def test_a_quota_is_told_as_structured_fields(quota: Quota, policy: str, limit: str) -> None:
    assert dict(ratelimit_headers(quota)) == {"ratelimit-policy": policy, "ratelimit": limit}
