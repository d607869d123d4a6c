"""Writes replies and errors of the inference paths as ASGI messages."""

import time
from collections.abc import Sequence

import orjson
from starlette.types import Send

from gateway.http.head import Head
from protos.errors import Kind, PenstockError
from protos.values import Bytes, Timeline

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


async def send_error(send: Send, head: Head, error: PenstockError) -> None:
    """The protocol's error body with the table's status; says so to a connection still reading."""
    content = orjson.dumps({"error": error.message})
    headers = [
        (b"content-type", JSON),
        (b"content-length", b"%d" % len(content)),
        *common_headers(head),
        *error_headers(error),
    ]
    await send({"type": "http.response.start", "status": error.row.http, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def error_headers(error: PenstockError) -> Headers:
    headers: Headers = []
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after))))
    if error.kind is Kind.UNAUTHENTICATED:
        headers.append((b"www-authenticate", b'Bearer realm="penstock"'))
    return headers


def common_headers(head: Head) -> Headers:
    return [
        (b"x-request-id", head.request_id.encode()),
        (b"server-timing", server_timing(head.timeline)),
    ]


def server_timing(timeline: Timeline) -> bytes:
    """W3C Server-Timing: each stage's milliseconds, the backend's queue and compute, the total."""
    pieces = []
    before = timeline.start
    for stage, at in timeline.marks:
        pieces.append("%s;dur=%.3f" % (stage, (at - before) * 1e3))
        before = at
    if timeline.batch_rows:
        pieces.append(
            "queue;dur=%.3f, compute;dur=%.3f"
            % (timeline.queue_us / 1e3, timeline.compute_us / 1e3)
        )
    pieces.append("total;dur=%.3f" % ((time.monotonic() - timeline.start) * 1e3))
    return ", ".join(pieces).encode()
