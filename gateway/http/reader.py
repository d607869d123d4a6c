"""Reads requests from a connection's bytes, bounded, and hands on what came of them.

Whatever is wrong before a request's head is complete is refused here, in turn. Whatever is wrong
after it is the application's to answer (see Cycle), so that it is authenticated and observed.
"""

import asyncio
from abc import abstractmethod
from math import inf

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.http.cycle import Cycle
from gateway.http.framing import CHUNKED, Framing, check_size, framing, headers_too_large
from gateway.http.patience import Phase
from gateway.http.scope import Scope, http_scope
from gateway.http.upgrade import parser_after_head
from gateway.listening import Limits
from protos.errors import Kind, PenstockError, invalid

MAX_PIPELINED = 64  # requests; one read of the socket may hold thousands
# Looking names up in an Enum costs more than the comparison.
AWAIT, HEAD, BODY, ANSWER, LINGER, CLOSED = Phase


class Connections(ServerState):
    """What the connections of one server share."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.draining = False
        self.idle_until = inf  # loop time, from which idle connections are closed


class Reader(HttpToolsProtocol):
    """The receiving half of a connection: llhttp's callbacks, and what they may cost."""

    server_state: Connections
    cycle: Cycle  # the newest request

    def __init__(
        self, config: Config, shared: Connections, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, shared, {}, loop)
        self._limits = shared.limits
        self._phase = AWAIT
        self._since = loop.time()  # when the phase began
        self._head_received = 0  # bytes of the head, and of what came in one read with it
        self._head_spans = False  # it began in one read with the request before
        self._framing = Framing(0, False, False)
        self._body_received = 0
        self._overhead = 0  # bytes of chunk sizes, extensions and trailers
        self._upgrade_ignored = False
        self._deaf = False  # what still arrives is dropped
        self._connection: Scope = {}  # the part of every scope that doesn't change

    @abstractmethod
    def _arrived(self, cycle: Cycle) -> None:
        """A head is complete: the request is served, or waits for its turn."""

    @abstractmethod
    def _refuse(self, error: PenstockError) -> None:
        """Answers what never became a request, after the replies that are due before."""

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        before = self._phase
        if before is AWAIT or before is HEAD:
            self._head_received += len(data)
        else:
            self._head_received = len(data)
        delivered = self._body_received
        try:
            self._feed(data)
        except httptools.HttpParserError as malformed:
            if self._deaf:
                return
            cause = malformed.__context__
            if not isinstance(cause, PenstockError):
                cause = invalid(f"malformed HTTP request: {malformed}")
            self._reject(cause)
            return
        if self._phase is HEAD:
            if before is not AWAIT and before is not HEAD:
                self._head_received, self._head_spans = 0, True
            elif self._head_received > self._limits.header_bytes:
                self._reject(headers_too_large(self._limits.header_bytes))
        elif before is self._phase is BODY and self._framing.length == CHUNKED:
            self._overhead += len(data) - (self._body_received - delivered)
            # A chunk of one byte takes six; beyond that it is an endless extension or trailer.
            if self._overhead > self._limits.header_bytes + 8 * self._body_received:
                self._reject(invalid("the chunks are mostly overhead"))

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self._framing.length:
                    self.parser = parser_after_head(self, self._framing.length)
            else:
                return

    def on_message_begin(self) -> None:
        if self._deaf:
            raise invalid("nothing is read after a refusal")  # stops the parser
        self._phase = HEAD
        self._since = self.loop.time()
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head these are trailers: a proxy before us has checked none of them.
        if self._phase is HEAD:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser, limits = self.parser, self._limits
        version = parser.get_http_version()
        method = parser.get_method()
        if len(self.pipeline) == MAX_PIPELINED:
            raise PenstockError(Kind.OVERLOADED, f"more than {MAX_PIPELINED} requests pipelined")
        if len(self.headers) > limits.header_count:
            raise PenstockError(
                Kind.HEADERS_TOO_LARGE, f"there are more than {limits.header_count} headers"
            )
        if self._head_received > limits.header_bytes or self._head_spans:
            check_size(self.headers, self.url, limits.header_bytes)
            self._head_spans = False
        framed = self._framing = framing(method, version, self.headers)
        scope = http_scope(
            version=version,
            method=method,
            url=self.url,
            headers=self.headers,
            connection=self._connection,
        )
        cycle = self.cycle = Cycle(
            scope=scope,  # type: ignore[arg-type]
            transport=self,  # type: ignore[arg-type]
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=framed.expects_continue,
            keep_alive=(
                version != "1.0" and parser.should_keep_alive() and not self.server_state.draining
            ),
            on_response=self.on_response_complete,
        )
        scope["extensions"] = {
            "penstock.disconnect": cycle.on_disconnect,
            **self._connection.get("extensions", {}),
        }
        self._phase = BODY
        self._since = self.loop.time()
        self._body_received = self._overhead = 0
        self._upgrade_ignored = framed.upgrades and framed.length != 0
        if framed.length > limits.body:
            self._fail(_too_large(limits.body))
        self._arrived(cycle)

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if self._deaf or cycle.response_complete:
            return
        self._body_received += len(body)
        if self._body_received > self._limits.body:
            self._fail(_too_large(self._limits.body))
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._upgrade_ignored:
            self._upgrade_ignored = False  # the body follows, see upgrade.py
            return
        if self._phase is BODY and not self._deaf:
            self._phase = ANSWER
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def _reject(self, error: PenstockError) -> None:
        """The client broke the protocol: nothing more of it is read, and it is told in turn."""
        if self._phase is BODY:
            self._fail(error)
        else:
            self._deaf = True
            self._refuse(error)

    def _fail(self, error: PenstockError) -> None:
        self._deaf = True
        self.cycle.fail(error)


def _too_large(limit: int) -> PenstockError:
    return PenstockError(Kind.TOO_LARGE, f"the body has more than {limit} bytes")
