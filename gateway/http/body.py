"""Reads a request's body whole, bounded in both forms, and learns when its client has gone."""

import asyncio
import zlib
from collections.abc import Callable
from io import BytesIO

from starlette.types import Message, Receive, Scope

from protos.errors import Kind, PenstockError, invalid
from protos.wording import quote

CONTENT_TYPES = (
    b"application/json",
    b"application/octet-stream",
    b"application/x-www-form-urlencoded",  # curl's -d says so of everything
)
_CHECKED = frozenset({b"content-type", b"content-encoding", b"content-length"})
# zlib's window bits for the formats of RFC 1952 and RFC 1950; 16 asks for gzip.
_WINDOW_BITS = {
    b"identity": 0,
    b"gzip": 16 + zlib.MAX_WBITS,
    b"x-gzip": 16 + zlib.MAX_WBITS,
    b"deflate": zlib.MAX_WBITS,
}
MAX_RATIO = 200  # zeros compress by a thousand, as bombs do; real data by far less
RATIO_FLOOR = 1 << 20  # bytes that any compressed body may unpack to
INLINE_BYTES = 16 * 1024  # compressed bytes that are unpacked on the event loop
UNCOUNTED_BYTES = (
    16 * 1024
)  # a body that came with its head, or what one unpacks to: too few to count


async def read_body(
    scope: Scope, receive: Receive, limit: int, hold: Callable[[int], object] | None = None
) -> bytes:
    """The body, unpacked if it is compressed; `limit` in bytes bounds both forms.

    `hold` is told of bytes that are to be held, before they are, and may raise; it gets back, as a
    negative number, what unpacking has not needed. Raises
    UNSUPPORTED_MEDIA for another Content-Type or Content-Encoding, TOO_LARGE (before
    anything is read if Content-Length says so), INVALID for broken compression and CANCELLED if the
    client goes away.
    """
    window_bits, length = _check_headers(scope, limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")  # nearly always it came with the head
        if len(body) > limit:
            raise _too_large(limit)
        if len(body) > UNCOUNTED_BYTES and hold is not None:
            hold(len(body))
    else:
        if length and hold is not None:
            hold(length)
        body = await _gather(message, receive, limit, None if length else hold)
    return body if not window_bits else await _unpacked(body, window_bits, limit, hold)


async def _gather(
    message: Message, receive: Receive, limit: int, hold: Callable[[int], object] | None
) -> bytes:
    gathered = BytesIO()  # not a list: each of many small pieces would take forty bytes besides
    received = 0
    while message["type"] == "http.request":
        piece = message.get("body", b"")
        received += len(piece)
        if received > limit:
            raise _too_large(limit)
        if hold is not None:
            hold(len(piece))
        gathered.write(piece)
        if not message.get("more_body", False):
            return gathered.getvalue()
        message = await receive()
    raise PenstockError(Kind.CANCELLED, "the client went away")


async def _unpacked(
    packed: bytes, window_bits: int, limit: int, hold: Callable[[int], object] | None
) -> bytes:
    most = unpacks_to(packed, window_bits, limit)
    if most <= UNCOUNTED_BYTES:
        hold = None
    if hold is not None:
        hold(most)
    if len(packed) <= INLINE_BYTES:
        body = unpack(packed, window_bits, limit)
    else:
        body = await asyncio.to_thread(
            unpack, packed, window_bits, limit
        )  # zlib lets go of the GIL
    if hold is not None:
        hold(len(body) - most)
    return body


def _check_headers(scope: Scope, limit: int) -> tuple[int, int]:
    """zlib's window bits for the body, 0 if it isn't compressed; its length, 0 if it isn't said."""
    window_bits = length = types = encodings = 0
    for name, value in scope["headers"]:
        if name not in _CHECKED:
            continue
        if name == b"content-type":
            types += 1
            if value not in CONTENT_TYPES:
                _check_type(value)
        elif name == b"content-encoding":
            encodings += 1
            known = _WINDOW_BITS.get(value.lower())
            if known is None:
                raise PenstockError(
                    Kind.UNSUPPORTED_MEDIA,
                    f"Content-Encoding: {_shown(value)} is none of identity, gzip and deflate",
                )
            window_bits = known
        elif (length := int(value)) > limit:
            raise _too_large(limit)
    if types > 1 or encodings > 1:
        raise invalid("Content-Type and Content-Encoding: each may be there once")
    return window_bits, length


def _check_type(value: bytes) -> None:
    kind, *parameters = (part.strip() for part in value.lower().split(b";"))
    if kind and kind not in CONTENT_TYPES:
        raise PenstockError(
            Kind.UNSUPPORTED_MEDIA,
            f"Content-Type: {_shown(value)} is neither application/json nor"
            " application/octet-stream",
        )
    for parameter in parameters:
        name, _, charset = parameter.partition(b"=")
        if name == b"charset" and charset.strip(b'"') not in (b"utf-8", b"utf8", b"us-ascii"):
            raise PenstockError(Kind.UNSUPPORTED_MEDIA, "Content-Type: JSON is UTF-8")


def _shown(value: bytes) -> str:
    return quote(value.decode("latin-1"))


def unpacks_to(packed: bytes, window_bits: int, limit: int) -> int:
    """The most bytes that `unpack` makes of it. gzip says how many there are (RFC 1952, 2.3.1)."""
    most = min(limit, max(RATIO_FLOOR, MAX_RATIO * len(packed)))
    return (
        min(most, int.from_bytes(packed[-4:], "little")) if window_bits > zlib.MAX_WBITS else most
    )


def unpack(packed: bytes, window_bits: int, limit: int) -> bytes:
    """One complete zlib or gzip stream, unpacked to at most `limit` bytes.

    Raises TOO_LARGE beyond that or for the ratio of a bomb, INVALID for anything else than exactly
    one complete stream.
    """
    unpacker = zlib.decompressobj(window_bits)
    most = unpacks_to(packed, window_bits, limit)
    try:
        body = unpacker.decompress(packed, most + 1)
    except zlib.error as failure:
        raise invalid("Content-Encoding: the body is not what it says") from failure
    if len(body) > limit:
        raise _too_large(limit)
    if len(body) > max(RATIO_FLOOR, MAX_RATIO * len(packed)):
        raise PenstockError(
            Kind.TOO_LARGE,
            f"the body unpacks to more than {MAX_RATIO} times its size: send it as is",
        )
    if not unpacker.eof or unpacker.unused_data:
        raise invalid("Content-Encoding: the body is not one complete compressed stream")
    return body


def _too_large(limit: int) -> PenstockError:
    return PenstockError(Kind.TOO_LARGE, f"the body has more than {limit} bytes")


def on_disconnect(scope: Scope, callback: Callable[[], object]) -> None:
    """Calls `callback` once, on the event loop, if the client goes away before the reply's end.

    It costs no task: the connection calls when it is lost. A handler that is to end with its client
    passes its task's `cancel`. Raises KeyError under a server that isn't ours.
    """
    scope["extensions"]["penstock.disconnect"](callback)


def watch_disconnect(scope: Scope) -> None:
    """From now on the client's going away cancels the current task, and what it awaits."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("only a task can be cancelled with its client")
    on_disconnect(scope, task.cancel)
