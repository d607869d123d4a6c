"""A Redis or Valkey server that may fail: an answer comes in time, or the word that it is lost.

Nothing here raises into a request. The first call that fails or takes too long opens a breaker:
from then on calls are lost at once, while a task asks in the background whether the server is back.
The time that a call has begins when it may be sent. One that finds no room among the others, or
that our own loop was too busy to look after, is lost alone.

redis-py's own pool is not used. A call that is cancelled in mid-reply leaves the rest of the reply
on its connection, and where that connection is used again it has answered others' calls. Here a
connection goes back only from a call that has read its whole reply; every other one is closed.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from hashlib import sha1
from typing import Any, Final

from redis.asyncio import Connection
from redis.exceptions import (
    InvalidResponse,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from gateway.state.breaker import INTERVAL, Breaker
from gateway.state.patience import Patience
from gateway.state.redis_connection import connection_to
from gateway.state.settings import StateSettings

log = logging.getLogger(__name__)

PATIENCE = 0.05  # seconds for a call, with connecting where that is needed
PATIENCE_AT_START = 1.0
MOST_CONNECTIONS = 32  # and as many calls under way; others wait, as long as one may take

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
        probe_interval: float = INTERVAL,
    ) -> None:
        self._settings = settings
        self._holds = holds
        self._patience = patience
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(MOST_CONNECTIONS)
        self._refusal = ""
        self._breaker = Breaker(
            f"the {holds} at {settings.address}", self._look, interval=probe_interval
        )
        self.lost_calls = 0

    def __repr__(self) -> str:
        return f"<Redis {self._settings.address} {'up' if self.up else 'lost'}>"

    @property
    def up(self) -> bool:
        return self._breaker.up

    @property
    def losses(self) -> int:
        """Times that the server was lost."""
        return self._breaker.losses

    async def start(self) -> None:
        """Connects, so that no request has to wait for it; a server that is down is looked for."""
        await self._try(self._ping, max(PATIENCE_AT_START, self._patience))

    async def close(self) -> None:
        await self._breaker.close()
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

    def disbelieve(self) -> None:
        """A reply was none that our own script makes: whoever answers there has lost its senses."""
        self.lost_calls += 1
        self._breaker.lose("it answers what it wasn't asked")

    async def _try(self, call: Callable[[], Awaitable[Any]], seconds: float) -> Any | Lost:
        breaker = self._breaker
        if not await self._slot(seconds):
            self.lost_calls += 1
            return LOST
        patience = Patience(seconds)
        try:
            async with patience:
                reply = await call()
        except ReadOnlyError as error:
            breaker.lose(type(error).__name__)
        except ResponseError as error:
            self._tell_refusal(error)
        except TimeoutError:
            now = asyncio.get_running_loop().time()
            breaker.late(seconds, now, stalled=patience.stalled)
        except Exception as error:  # whatever a broken server can make redis-py raise
            breaker.lose(type(error).__name__)
        else:
            breaker.answered()
            return reply
        finally:
            self._slots.release()
        self.lost_calls += 1
        return LOST

    async def _slot(self, seconds: float) -> bool:
        """Whether the call may be sent: in time, and with the server not lost meanwhile."""
        if not self._slots.locked():
            return await self._slots.acquire()
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError:
            return False
        if not self.up:
            self._slots.release()
        return self.up

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
        connection = connection_to(self._settings)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await _close(connection)
            raise
        return connection

    async def _ping(self) -> None:
        if await self._call(("PING",)) != b"PONG":
            raise InvalidResponse("whoever answers is no Redis")

    def _tell_refusal(self, error: ResponseError) -> None:
        """The server is there and says no, such as OOM; each reason is told once in a row."""
        reason = (str(error).split() or ["?"])[0]  # the rest may hold arguments
        if reason != self._refusal:
            self._refusal = reason
            log.warning("the %s refuses commands: %s", self._holds, reason)

    async def _look(self) -> None:
        """Raises unless the server answers."""
        # Those that were idle may have died with the server.
        while self._idle:
            await _close(self._idle.pop())
        async with Patience(self._patience):
            await self._ping()


async def _close(connection: Connection) -> None:
    with contextlib.suppress(RedisError, OSError):
        await connection.disconnect(nowait=True)
