"""Where match rules and sticky keys take their values from: claims, headers, cookies, the tenant.

A name that is missing has no value, and neither has an empty one.
"""

import json
from collections.abc import Callable
from functools import lru_cache

from protos.principal import Principal
from protos.values import Context, Headers

Source = Callable[[Context], str | None]


def claim_values(principal: Principal, name: str) -> list[str]:
    """A claim's value, or those of its members where it is a list; `sub` is the subject."""
    claim = principal.subject if name == "sub" else principal.claims.get(name)
    members = claim if isinstance(claim, list | tuple) else [claim]
    return [value for member in members if (value := _scalar(member)) is not None]


def header_value(headers: Headers, name: bytes) -> str | None:
    """A header that is there several times has its values joined (RFC 9110, 5.3)."""
    values = [value for key, value in headers if key == name]
    return _text(b", ".join(values)) if values else None


def cookie_value(headers: Headers, name: bytes) -> str | None:
    """The first cookie of this name (RFC 6265, 4.2); HTTP/2 may divide the header."""
    for key, value in headers:
        if key == b"cookie":
            for pair in value.split(b";"):
                found, equals, content = pair.partition(b"=")
                if equals and found.strip() == name:
                    return _text(content.strip())
    return None


@lru_cache(maxsize=1024)
def sticky_source(key: str) -> Source:
    """The value by which a route's users are told apart; `key` is that of a `Sticky`.

    Claims are those of their issuer: two issuers' subjects of the same name are two users. A claim
    that is a list or an object tells nobody apart.
    """
    kind, _, name = key.partition(".")
    match kind:
        case "jwt" if name == "sub":
            return lambda context: _subject(context.principal)
        case "jwt":
            return lambda context: _claim(context.principal, name)
        case "header":
            header = name.lower().encode()
            return lambda context: header_value(context.headers, header)
        case "cookie":
            cookie = name.encode()
            return lambda context: cookie_value(context.headers, cookie)
        case _:
            return lambda context: context.principal.tenant


def _subject(principal: Principal) -> str | None:
    subject = principal.subject
    return f"{principal.issuer}\0{subject}" if subject else None


def _claim(principal: Principal, name: str) -> str | None:
    value = _scalar(principal.claims.get(name))
    return f"{principal.issuer}\0{value}" if value else None


def _scalar(value: object) -> str | None:
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) else None


def _text(value: bytes) -> str:
    # Whatever bytes a client sends are a value, and different bytes different ones.
    return value.decode("utf-8", "surrogateescape")
