"""The HTTP listener: binds or inherits a socket, watches connections, drains in bounded time."""

import asyncio
import logging
import socket
import ssl
import time
from email.utils import formatdate
from functools import partial

from starlette.types import ASGIApp
from uvicorn.config import Config

from gateway.http.patience import NOTICED
from gateway.http.protocol import Connection
from gateway.http.reader import Connections
from gateway.listening import Limits
from protos.errors import invalid
from protos.quantities import Address
from protos.tls import ServerTls
from protos.tls_files import Followed, RenewedContext, followed_context

log = logging.getLogger(__name__)

BACKLOG = 2048
TLS_HANDSHAKE_TIMEOUT = 10.0  # seconds
DRAIN_STEP = 0.02  # seconds between two looks at connections that have to end
CANCEL_TIMEOUT = 1.0  # seconds for cancelled handlers to clean up
# Seconds after which the kernel asks whether a silent peer is still there, and gives up on one.
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES = 30, 10, 3


def serve(
    app: ASGIApp,
    listen: socket.socket | Address,
    limits: Limits,
    tls: ServerTls | None = None,
    use: str = "http",
) -> "HttpServer":
    """A server for `app`, not started yet, on an address or on a socket that is bound already.

    `use` names its certificate in logs and metrics. Raises INVALID for an address that can't be
    bound or a certificate that can't be used.
    """
    bound = listen if isinstance(listen, socket.socket) else bind(listen)
    return HttpServer(app, bound, limits, None if tls is None else followed_context(use, tls))


def bind(address: Address) -> socket.socket:
    """A TCP socket bound to the address, inheritable by workers. Raises INVALID saying why not."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # With IPPROTO_TCP spelled out, or asyncio leaves Nagle's algorithm on for accepted connections.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
    except OSError as failure:
        listening.close()
        raise invalid(f"cannot listen on {address}: {failure.strerror or failure}") from failure
    listening.set_inheritable(True)
    return listening


class HttpServer:
    """One event loop's share of a listening socket. Made by `serve`."""

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        limits: Limits,
        certificate: Followed[ssl.SSLContext] | None,
    ) -> None:
        self.port: int = listening.getsockname()[1]
        self._socket = listening
        self._limits = limits
        self.certificate = certificate
        self._shared = Connections(limits)
        self._sweeping: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None
        # The application is called as it is: no lifespan, no wrapper, no WebSockets, no logging of
        # every request (which costs more than parsing it).
        self._config = Config(
            app,
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._config.load()

    @property
    def connections(self) -> int:
        return len(self._shared.connections)

    @property
    def requests(self) -> int:
        """Requests answered so far."""
        return self._shared.total_requests

    async def start(self) -> None:
        """Accepts connections from now on."""
        loop, certificate = asyncio.get_running_loop(), self.certificate
        _keep_alive(self._socket)
        self._sweep(loop)
        self._server = await loop.create_server(
            partial(Connection, self._config, self._shared, loop),
            sock=self._socket,
            ssl=None if certificate is None else RenewedContext(certificate),
            backlog=BACKLOG,
            ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT if certificate is not None else None,
        )

    async def drain(self, patience: float) -> None:
        """Stops accepting, lets replies end for `patience` seconds, then cuts what is left.

        A reply that begins while draining says `Connection: close`; idle connections are closed
        when balancers have noticed, or half of the time is over. An inherited socket goes on
        listening in the processes that share it; those that connect meanwhile aren't lost.
        """
        loop = asyncio.get_running_loop()
        shared = self._shared
        if self._server is not None:
            self._server.close()
        shared.draining = True
        shared.idle_until = loop.time() + min(NOTICED, patience / 2)
        for connection in tuple(shared.connections):
            connection.shutdown()
        end = loop.time() + patience
        while shared.connections and loop.time() < end:
            await asyncio.sleep(DRAIN_STEP)
            self._visit(loop.time())
        if shared.connections:
            log.warning("drained: %d connections had to be cut", len(shared.connections))
        for connection in tuple(shared.connections):
            connection.transport.abort()
        tasks = tuple(shared.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_TIMEOUT)
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Timers of all connections at once: one timer a server costs less than one a request."""
        limits = self._limits
        shortest = min(limits.header_timeout, limits.body_timeout, limits.idle_timeout)
        self._sweeping = loop.call_later(min(0.5, shortest / 4), self._sweep, loop)
        date = formatdate(time.time(), usegmt=True).encode()
        self._shared.default_headers = [(b"date", date)]
        self._visit(loop.time())

    def _visit(self, now: float) -> None:
        for connection in tuple(self._shared.connections):
            if isinstance(connection, Connection):
                connection.sweep(now)


def _keep_alive(listening: socket.socket) -> None:
    """Accepted sockets inherit these: a client whose machine vanished is noticed in a minute."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
