"""A TCP proxy that does to a connection what networks do, and can be told otherwise at any time.

Like Toxiproxy's its faults are latency, bandwidth, slicing, a limit of bytes, a time-out after
which nothing passes any more, a slow close, resets, and being down. It works on any port without
rights, where a kernel's packet filters would need them.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from chaos.faults.link import Did, Link, Toxics, abort

__all__ = ["FaultProxy", "Toxics"]


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes on to `target`, a port there.

    `up` and `down` hold for bytes that come after they were set, on all connections. `accepted`
    counts connections, `did` what befell them.
    """

    def __init__(self, target: int = 0, *, rng: Callable[[], float] = lambda: 0.5) -> None:
        self.target = target
        self.port = 0
        self.up = Toxics()
        self.down = Toxics()
        self.accepted = 0
        self.did = Did()
        self._rng = rng
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.refuse()
        await self.cut()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def both(self, toxics: Toxics) -> None:
        """The same in both directions."""
        self.up = self.down = toxics

    async def refuse(self) -> None:
        """New connections are refused; those that are there go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def accept(self) -> None:
        """New connections are taken again, on the same port."""
        if self._server is None:
            await self._listen()

    async def cut(self, *, reset: bool = False) -> None:
        """Ends all connections, with FIN or RST."""
        links = list(self._links)
        for link in links:
            link.end(reset=reset)
        self.did.cuts += len(links)
        await asyncio.gather(*(link.ended() for link in links))

    def heal(self) -> None:
        self.both(Toxics())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            abort(writer)
            return
        link = Link(
            (reader, writer), server, lambda: self.up, lambda: self.down, self._rng, self.did
        )
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)
