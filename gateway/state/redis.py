"""A Redis or Valkey server that may fail: an answer comes in time, or the word that it is lost.

Nothing here raises into a request. The first call that fails or takes too long opens a breaker:
from then on calls are lost at once, while a task asks in the background whether the server is back.

redis-py's own pool is not used. A call that is cancelled in mid-reply leaves the rest of the reply
on its connection, and where that connection is used again it has answered others' calls. Here a
connection goes back only from a call that has read its whole reply; every other one is closed.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum
from hashlib import sha1
from typing import Any, Final

from redis.asyncio import Connection, SSLConnection
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from gateway.state.settings import StateSettings

log = logging.getLogger(__name__)

PATIENCE = 0.05  # seconds for a call, with connecting where that is needed
PATIENCE_AT_START = 1.0
PROBE_INTERVAL = 0.5  # seconds between looks at whether a lost server is back
MOST_CONNECTIONS = 32
# After a stall of our own loop the reply may be here, unread; it gets this much of the patience.
_SECOND_LOOK = 0.005

Argument = str | bytes | int | float


class Lost(Enum):
    """In place of a reply: the server is down, too slow, or refused."""

    LOST = "lost"


LOST: Final = Lost.LOST


class Script:
    """A Lua script, which is sent once and then called by its digest."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()  # Redis's own name


class Redis:
    """A few connections to one server. Replies are as RESP2 has them: bytes, int, lists, None.

    `holds` is what is said to lie there when it is lost; what must not be lost together has clients
    of its own. `patience` and `probe_interval` are in seconds. Belongs to the event loop that it is
    used on.
    """

    def __init__(
        self,
        settings: StateSettings,
        holds: str = "shared state",
        *,
        patience: float = PATIENCE,
        probe_interval: float = PROBE_INTERVAL,
    ) -> None:
        self._settings = settings
        self._holds = holds
        self._patience = patience
        self._probe_interval = probe_interval
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(MOST_CONNECTIONS)
        self._probing: asyncio.Task[None] | None = None
        self._refusal = ""
        self.up = True  # until the contrary is known
        self.losses = 0  # times that the server was lost
        self.lost_calls = 0

    def __repr__(self) -> str:
        return f"<Redis {self._settings.address} {'up' if self.up else 'lost'}>"

    async def start(self) -> None:
        """Connects, so that no request has to wait for it; a server that is down is looked for."""
        await self._try(self._ping, max(PATIENCE_AT_START, self._patience))

    async def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        while self._idle:
            await _close(self._idle.pop())

    async def execute(self, *command: Argument, patience: float = 0.0) -> Any | Lost:
        """The reply to one command. LOST when the server is lost or says that it can't.

        `patience`: for a call that nobody waits for, in place of the client's.
        """
        if not self.up:
            self.lost_calls += 1
            return LOST
        return await self._try(lambda: self._call(command), patience or self._patience)

    async def evaluate(self, script: Script, *arguments: Argument) -> Any | Lost:
        """What the script returns; `arguments` are the number of keys, keys and arguments."""
        if not self.up:
            self.lost_calls += 1
            return LOST

        async def call() -> Any:
            try:
                return await self._call(("EVALSHA", script.digest, *arguments))
            except NoScriptError:
                return await self._call(("EVAL", script.text, *arguments))

        return await self._try(call, self._patience)

    async def _try(self, call: Callable[[], Awaitable[Any]], patience: float) -> Any | Lost:
        try:
            async with _within(patience), self._slots:
                return await call()
        except ReadOnlyError as error:
            self._lose(type(error).__name__)
        except ResponseError as error:
            self._tell_refusal(error)
        except TimeoutError:
            self._lose(f"no answer in {patience * 1000:g} ms")
        except Exception as error:  # whatever a broken server can make redis-py raise
            self._lose(type(error).__name__)
        self.lost_calls += 1
        return LOST

    async def _call(self, command: tuple[Argument, ...]) -> Any:
        connection = await self._connection()
        try:
            await connection.send_command(*command)
            reply = await connection.read_response()
        except ReadOnlyError:
            await _close(connection)  # a former primary: its name may lead elsewhere by now
            raise
        except ResponseError:
            self._idle.append(connection)  # its reply has been read to the end
            raise
        except BaseException:
            await _close(connection)
            raise
        self._idle.append(connection)
        return reply

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            try:
                dirty = await connection.can_read()
            except (RedisError, OSError):  # the server closed it
                dirty = True
            if not dirty:
                return connection
            await _close(connection)
        connection = self._make()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await _close(connection)
            raise
        return connection

    def _make(self) -> Connection:
        settings = self._settings
        password = None
        if settings.password_file is not None:
            # Read anew, so that a password can be changed while we run.
            password = settings.password_file.read_text(encoding="utf-8").strip()
        common: dict[str, Any] = {
            "host": settings.address.host,
            "port": settings.address.port,
            "db": settings.database,
            "username": settings.user,
            "password": password,
            "protocol": 2,
            # Time is kept here, for the whole call.
            "socket_timeout": None,
            "socket_connect_timeout": None,
            "driver_info": None,
        }
        if not settings.encrypted:
            return Connection(**common)
        tls = settings.tls
        return SSLConnection(
            **common,
            ssl_ca_certs=str(tls.ca) if tls else None,
            ssl_certfile=str(tls.certificate) if tls and tls.certificate else None,
            ssl_keyfile=str(tls.key) if tls and tls.key else None,
        )

    async def _ping(self) -> None:
        await self._call(("PING",))

    def _lose(self, why: str) -> None:
        if not self.up:
            return  # of several calls under way the first one told
        self.up = False
        self.losses += 1
        log.warning("the %s at %s is lost: %s", self._holds, self._settings.address, why)
        self._probing = asyncio.create_task(self._probe(), name=f"looks for {self._holds}")

    def _tell_refusal(self, error: ResponseError) -> None:
        """The server is there and says no, such as OOM; each reason is told once in a row."""
        reason = (str(error).split() or ["?"])[0]  # the rest may hold arguments
        if reason != self._refusal:
            self._refusal = reason
            log.warning("the %s refuses commands: %s", self._holds, reason)

    async def _probe(self) -> None:
        """Asks until the server answers; meanwhile no request does."""
        while not self.up:
            await asyncio.sleep(self._probe_interval)
            # Those that were idle may have died with the server.
            while self._idle:
                await _close(self._idle.pop())
            with contextlib.suppress(Exception):
                async with _within(self._patience):
                    await self._ping()
                self.up = True
        log.info("the %s at %s is back", self._holds, self._settings.address)


@contextlib.asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Raises TimeoutError after so many seconds, in which the loop had a chance to read."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        late = loop.call_later(
            seconds - _SECOND_LOOK, lambda: limit.reschedule(loop.time() + _SECOND_LOOK)
        )
        try:
            yield
        finally:
            late.cancel()


async def _close(connection: Connection) -> None:
    with contextlib.suppress(RedisError, OSError):
        await connection.disconnect(nowait=True)
