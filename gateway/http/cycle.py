"""One request and its reply on a connection."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.http.scope import ANSWERED
from protos.errors import PenstockError
from protos.incident import incident


class Cycle(RequestResponseCycle):
    """uvicorn's cycle, which writes replies, with four things that it lacks.

    A request that turns out wrong while its body arrives (too large, too slow, malformed) raises
    from `receive`, so that it is observed and answered like any other. Callbacks learn at once that
    the client is gone, without a task for each request. A reply that comes before the body's end
    closes the connection, since nobody would read the rest. A reply's head waits for the first part
    of its body, so that both leave in one write.
    """

    failure: PenstockError | None = None
    _head: Any = None
    _watchers: list[Callable[[], object]] | None = None
    _keep_alive: bool

    @property
    def keep_alive(self) -> bool:
        return self._keep_alive and not self.more_body and self.failure is None

    @keep_alive.setter
    def keep_alive(self, value: bool) -> None:
        self._keep_alive = value

    def on_disconnect(self, callback: Callable[[], object]) -> None:
        """Calls `callback` once if the client goes away before the reply is complete."""
        if self.disconnected:
            callback()
        elif self._watchers is None:
            self._watchers = [callback]
        else:
            self._watchers.append(callback)

    def disconnect(self) -> None:
        if self.response_complete or self.disconnected:
            return
        self.disconnected = True
        self.message_event.set()
        watchers, self._watchers = self._watchers, None
        for watcher in watchers or ():
            watcher()

    def fail(self, failure: PenstockError) -> None:
        """Ends the body with an error; what has arrived of it is dropped."""
        self.failure = failure
        self.body = bytearray()
        self.message_event.set()

    async def receive(self) -> Any:
        """The next piece of the body; raises PenstockError if there won't be one."""
        if self.failure is None and not self.disconnected and not self.response_complete:
            if self.waiting_for_100_continue:
                self.waiting_for_100_continue = False
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self.failure is not None:
            raise self.failure
        body, self.body = self.body, bytearray()
        return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start" and self.scope["method"] != "HEAD":
            self._head = message
            return
        head, self._head = self._head, None
        if head is None:
            await super().send(message)
            return
        connection: Any = self.transport
        write = connection.write
        held: list[bytes] = []

        def write_both(data: bytes) -> None:
            if held:
                connection.write = write
                write(held[0] + data)
            else:
                held.append(data)

        connection.write = write_both
        try:
            await super().send(head)
            await super().send(message)
        finally:
            connection.write = write

    async def run_asgi(self, app: ASGIApp) -> None:  # type: ignore[override]
        try:
            await app(self.scope, self.receive, self.send)  # type: ignore[arg-type]
            if not self.response_complete and not self.disconnected:
                raise RuntimeError("the application returned without a complete reply")
        except asyncio.CancelledError:
            # The client went away, or draining took too long; either way nobody waits.
            self.transport.close()
        except PenstockError as error:
            await self._answer(error)
        except Exception as error:
            if self.scope.get(ANSWERED) is not error:  # else its one incident is logged
                await self._answer(incident(error, "a request failed"))
            elif not self.response_complete:
                self.transport.close()
        finally:
            # The scope leads back here; without this the garbage collector would cost 10 µs.
            self.scope = _ENDED
            self._watchers = None

    async def _answer(self, error: PenstockError) -> None:
        if self.response_started:
            # An incomplete reply must not look complete.
            self.transport.close()
            return
        await self.send(
            {
                "type": "http.response.start",
                "status": error.row.http,
                "headers": error_headers(error, body := error_body(error)),
            }
        )
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


_ENDED: Any = {}


def error_body(error: PenstockError) -> bytes:
    return orjson.dumps({"error": error.message})


def error_headers(error: PenstockError, body: bytes) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after))))
    return headers


def refusal(error: PenstockError) -> bytes:
    """The whole reply for a request that no application sees; the connection closes after it."""
    body = error_body(error)
    fields = [*error_headers(error, body), (b"connection", b"close")]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    return STATUS_LINE[error.row.http] + head + b"\r\n" + body
