"""Writes replies and errors of the inference paths as ASGI messages."""

from collections.abc import Callable, Sequence
from math import ceil

import orjson
from starlette.types import Send

from gateway.cache import cache_headers
from gateway.http.head import Head
from gateway.ratelimit_headers import ratelimit_headers
from gateway.server_timing import server_timing
from protos.errors import Kind, PenstockError
from protos.values import Bytes

JSON = b"application/json"
BINARY = b"application/octet-stream"
EVENTS = b"text/event-stream; charset=utf-8"

Headers = list[tuple[bytes, bytes]]


async def send_body(
    send: Send,
    head: Head,
    body: Sequence[Bytes],
    content_type: bytes = JSON,
    more: Headers | None = None,
) -> None:
    """A complete 200; the pieces of `body` are joined once, for one write to the socket."""
    content = body[0] if len(body) == 1 else b"".join(body)
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(content)),
        *common_headers(head),
    ]
    if more:
        headers += more
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def plain_error(error: PenstockError) -> bytes:
    """The Open Inference Protocol's error body."""
    return orjson.dumps({"error": error.message})


async def send_error(
    send: Send,
    head: Head,
    error: PenstockError,
    encode: Callable[[PenstockError], bytes] = plain_error,
    method: str = "",
) -> None:
    """The error's body with the table's status; says so to a connection still reading.

    `method` is what the path takes, which a 405 has to say (RFC 9110, 15.5.6).
    """
    content = encode(error)
    headers = [
        (b"content-type", JSON),
        (b"content-length", b"%d" % len(content)),
        *common_headers(head),
        *error_headers(error),
    ]
    if error.kind is Kind.METHOD_NOT_ALLOWED:
        headers.append((b"allow", method.encode()))
    await send({"type": "http.response.start", "status": error.row.http, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class AlreadyTold(Exception):
    """A failure after the reply began: the client has been told in the stream, it only counts."""

    def __init__(self, error: PenstockError) -> None:
        super().__init__(error.message)
        self.error = error


async def begin_events(send: Send, head: Head) -> None:
    """The head of a Server-Sent Events reply; proxies are asked not to buffer it."""
    headers = [
        (b"content-type", EVENTS),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
        *common_headers(head),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def send_event(send: Send, event: bytes) -> None:
    """One framed event; returns when the client has room for more."""
    await send({"type": "http.response.body", "body": event, "more_body": True})


async def end_events(send: Send) -> None:
    await send({"type": "http.response.body", "body": b""})


def error_headers(error: PenstockError) -> Headers:
    headers: Headers = []
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, ceil(error.retry_after))))
    if error.kind is Kind.UNAUTHENTICATED:
        headers.append((b"www-authenticate", b'Bearer realm="penstock"'))
    return headers


def common_headers(head: Head) -> Headers:
    timeline = head.timeline
    headers = [
        (b"x-request-id", head.request_id.encode()),
        (b"server-timing", server_timing(timeline).encode()),
    ]
    if timeline.arm_shown:
        headers.append((b"x-penstock-arm", f"{timeline.route}/{timeline.arm}".encode()))
    if timeline.quota is not None:
        told = ratelimit_headers(timeline.quota)
        headers += [(name.encode(), value.encode()) for name, value in told]
    if timeline.cache:
        headers += [(name.encode(), value.encode()) for name, value in cache_headers(timeline)]
    return headers
