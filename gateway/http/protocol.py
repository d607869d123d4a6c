"""uvicorn's HTTP/1.1 connection, made safe for strangers: bounded in bytes, time and number.

Nothing is refused out of turn: on a pipelined connection the earlier replies come first. And a
connection that won't be used again is closed only after the client could read the last reply, or
the reset that follows unread data would destroy it.
"""

import asyncio

from uvicorn.config import Config

from gateway.http.cycle import Cycle, refusal
from gateway.http.patience import Phase, patience
from gateway.http.reader import ANSWER, AWAIT, BODY, CLOSED, HEAD, LINGER, Connections, Reader
from gateway.http.scope import tls_extension
from protos.errors import Kind, PenstockError

TOO_MANY = "there are too many connections"


class Connection(Reader):
    """One client's connection. The server calls `sweep` a few times a second."""

    def __init__(
        self, config: Config, shared: Connections, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, shared, loop)
        self._active: Cycle | None = None  # the request that is being answered
        self._refusal: PenstockError | None = None  # what comes after the last reply
        self._stalled_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Cycles write to this object, so that closing is decided here.
        self.write = transport.write
        self.is_closing = transport.is_closing
        self._connection = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "scheme": self.scheme,
            "root_path": "",
            "server": self.server,
            "client": self.client,
        }
        if self.scheme == "https":
            self._connection["extensions"] = {"tls": tls_extension(transport)}
        if len(self.connections) > self._limits.connections:
            # No lingering: a flood of these must not hold descriptors.
            self.write(refusal(PenstockError(Kind.OVERLOADED, TOO_MANY, retry_after=1.0)))
            self._deaf = True
            self._phase = CLOSED
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self._phase = CLOSED
        if self._active is not None:
            self._active.disconnect()
        # Requests that were waiting for their turn die with the connection.
        self.pipeline.clear()
        self.flow.resume_writing()
        self.parser = None  # type: ignore[assignment]  # it refers back to this object

    # What is answered

    def _arrived(self, cycle: Cycle) -> None:
        if self._active is None:
            self._begin(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _begin(self, cycle: Cycle) -> None:
        self._active = cycle
        self._start_asgi_task(cycle, self.app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._active = None
        if self._phase is LINGER or self._phase is CLOSED:
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            self._begin(cycle)  # type: ignore[arg-type]  # uvicorn knows its own class only
        elif self._refusal is not None:
            self._refuse(self._refusal)
        elif self._phase is ANSWER:
            self._phase = AWAIT
            self._since = self.loop.time()
            self._head_received = 0

    def _refuse(self, error: PenstockError) -> None:
        if self._active is not None:
            self._refusal = error
            return
        self.write(refusal(error))
        self._linger()

    def close(self) -> None:
        """Closes after the last reply: at once if the client has sent all that it wanted to."""
        if self._deaf or self._phase is BODY or self._phase is HEAD:
            self._linger()
        elif self._phase is not LINGER:
            self._deaf = True
            self._phase = CLOSED
            self._since = self.loop.time()
            self.transport.close()

    def _linger(self) -> None:
        self._deaf = True
        self._phase = LINGER
        self._since = self.loop.time()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    # How long it takes

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled_since = None

    def shutdown(self) -> None:
        """Draining begins: the newest request's reply is the connection's last."""
        if self._active is not None:
            self.cycle.keep_alive = False

    def sweep(self, now: float) -> None:
        """Ends what takes the client too long; to be called a few times a second."""
        limits = self._limits
        if self._stalled_since is not None and now - self._stalled_since > limits.body_timeout:
            self.transport.abort()
            return
        phase = self._phase
        if self.flow.read_paused and (phase is HEAD or phase is BODY):
            self._since = now  # it is we who don't read
            return
        draining = now > self.server_state.idle_until
        if now - self._since <= patience(phase, limits, self._body_received, draining):
            return
        match phase:
            case Phase.AWAIT:
                self.close()
            case Phase.HEAD:
                self._reject(PenstockError(Kind.SLOW_CLIENT, "the headers took too long"))
            case Phase.BODY if not self._deaf:
                self._reject(PenstockError(Kind.SLOW_CLIENT, "the body took too long"))
            case Phase.LINGER:
                self._phase = CLOSED
                self._since = now
                self.transport.close()
            case Phase.CLOSED:
                self.transport.abort()
