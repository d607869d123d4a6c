"""What a request's head says about its body, and heads that two servers could read differently.

llhttp in its strict mode, which uvicorn keeps, already refuses what is malformed: both lengths at
once, doubled or signed lengths, folded lines, bare LF, NUL in values. The rest is decided here.
"""

from collections.abc import Sequence
from typing import NamedTuple

from protos.errors import Kind, PenstockError, invalid

CHUNKED = -1
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
_HOST_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;=:[]"


class Framing(NamedTuple):
    """`length` is the body's length in bytes, 0 without one and CHUNKED if it isn't said."""

    length: int
    expects_continue: bool
    upgrades: bool


def framing(method: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> Framing:
    """Reads RFC 9112's framing from a parsed head; names are in lower case.

    Raises INVALID, METHOD_NOT_ALLOWED for CONNECT, UNIMPLEMENTED for codings but `chunked`.
    """
    length, expects_continue, upgrades = 0, False, False
    hosts = 0
    for name, value in headers:
        if name not in _FRAMING:
            continue
        if name == b"host":
            hosts += 1
            # An empty one is a client's that has no name for where it calls (RFC 9112, 3.2).
            if value.translate(None, _HOST_BYTES):
                raise invalid("Host: is not the name of a host")
        elif name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise PenstockError(Kind.UNIMPLEMENTED, "Transfer-Encoding: is not chunked alone")
            if version == "1.0":
                # RFC 9112, 6.1: the older server behind which it came did not understand it.
                raise invalid("Transfer-Encoding: is unknown to HTTP/1.0")
            length = CHUNKED
        elif name == b"expect":
            # RFC 9110, 10.1.1: what HTTP/1.0 would take for the answer.
            expects_continue = version == "1.1" and value.lower() == b"100-continue"
        else:
            upgrades = True
    if version not in ("1.1", "1.0"):
        raise invalid(f"HTTP/{version} is not served, HTTP/1.1 is")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise invalid("Host: is required, once" if hosts == 0 else "Host: is there twice")
    if method == b"CONNECT":
        raise PenstockError(Kind.METHOD_NOT_ALLOWED, "CONNECT is for proxies")
    return Framing(length, expects_continue, upgrades)


def check_size(headers: Sequence[tuple[bytes, bytes]], url: bytes, limit: int) -> None:
    """Raises HEADERS_TOO_LARGE if the head as it was sent takes more than `limit` bytes."""
    # ": " and CRLF around every field; the request line's method and version don't matter.
    if len(url) + sum(len(name) + len(value) + 4 for name, value in headers) > limit:
        raise headers_too_large(limit)


def headers_too_large(limit: int) -> PenstockError:
    return PenstockError(Kind.HEADERS_TOO_LARGE, f"the headers take more than {limit} bytes")
