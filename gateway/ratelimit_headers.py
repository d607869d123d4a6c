"""What clients are told of their limits, on both faces.

After draft-ietf-httpapi-ratelimit-headers: structured fields (RFC 9651) with the quota `q` of a
window of `w` seconds, `r` that remain, and `t` seconds until there is more.
"""

from functools import lru_cache
from math import ceil

from protos.timeline import Quota


def ratelimit_headers(quota: Quota) -> tuple[tuple[str, str], tuple[str, str]]:
    """Names, as HTTP/2 and gRPC want them, and values."""
    policy, limit, window, remaining, reset = quota
    until = f";t={ceil(reset)}" if reset > 0 else ""
    return (
        ("ratelimit-policy", _policy(policy, limit, window)),
        ("ratelimit", f'"{policy}";r={remaining}{until}'),
    )


@lru_cache(maxsize=1024)
def _policy(policy: str, limit: int, window: int) -> str:
    if not window:
        return f'"{policy}";q={limit};qu="concurrent-requests"'
    return f'"{policy}";q={limit};w={window}'
