"""What a client asks of the cache: the request directives of `Cache-Control` (RFC 9111, 5.2.1).

A POST's answer may be kept because its route says so; the client can only ask for less of that.
`no-transform` and `max-stale` mean nothing here, since nothing is changed and nothing stale is
given; unknown directives are passed over, as the RFC demands.
"""

from functools import lru_cache
from math import inf
from typing import NamedTuple

from protos.errors import invalid
from protos.values import Headers

_NAME = b"cache-control"
_LONGEST = 9  # digits; three decades of seconds


class Directives(NamedTuple):
    """`max_age` and `min_fresh` in seconds."""

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: float = inf
    min_fresh: float = 0.0

    def accept(self, age: float, left: float) -> bool:
        """Whether an answer of that age, which is good for so many seconds more, may be given."""
        return not self.no_cache and age <= self.max_age and left >= self.min_fresh


NONE = Directives()


def directives(headers: Headers) -> Directives:
    """Those of a request; several headers are one list. Raises INVALID for times that are none."""
    found = [value for name, value in headers if name == _NAME]
    if not found:
        return NONE
    return _parsed(found[0] if len(found) == 1 else b",".join(found))


@lru_cache(256)
def _parsed(value: bytes) -> Directives:
    no_store = no_cache = only_if_cached = False
    max_age, min_fresh = inf, 0.0
    for item in value.split(b","):
        name, _, argument = item.strip().partition(b"=")
        match name.lower():
            case b"no-store":
                no_store = True
            case b"no-cache":
                no_cache = True
            case b"only-if-cached":
                only_if_cached = True
            case b"max-age":
                max_age = min(max_age, _seconds("max-age", argument))
            case b"min-fresh":
                min_fresh = max(min_fresh, _seconds("min-fresh", argument))
    return Directives(no_store, no_cache, only_if_cached, max_age, min_fresh)


def _seconds(name: str, argument: bytes) -> float:
    digits = argument.strip().removeprefix(b'"').removesuffix(b'"')
    if not digits.isdigit():
        raise invalid(f"Cache-Control: {name} takes a number of seconds")
    return float(digits) if len(digits) <= _LONGEST else inf
