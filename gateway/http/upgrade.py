"""Ignores an offer to upgrade on a request with a body, as RFC 9110, 7.8 lets a server do.

llhttp stops reading HTTP after such a head and takes the body for the new protocol's. Clients that
offer HTTP/2 with every first request (Java's) would lose their bodies, so a new parser goes on
where the old one stopped, after a made-up head that says how the body is framed.
"""

from typing import Protocol

import httptools

from gateway.http.framing import CHUNKED


class Callbacks(Protocol):
    """What llhttp tells a connection."""

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


class _AfterHead:
    """Passes everything on but the first head."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._in_head = True
        self.on_body = callbacks.on_body
        self.on_message_complete = callbacks.on_message_complete

    def on_message_begin(self) -> None:
        if not self._in_head:
            self._callbacks.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._in_head:
            self._callbacks.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            self._callbacks.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._in_head:
            self._callbacks.on_headers_complete()
        self._in_head = False


def parser_after_head(callbacks: Callbacks, length: int) -> httptools.HttpRequestParser:
    """A parser that expects a body of `length` bytes (or CHUNKED), then further requests."""
    parser = httptools.HttpRequestParser(_AfterHead(callbacks))
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    if length == CHUNKED:
        parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    else:
        parser.feed_data(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % length)
    return parser
