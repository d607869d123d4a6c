"""Calls over several exchange streams that outlive what happens to the backends: the rules under torture.

- a stream is used once the backend accepted it; a call that wasn't written moves on at no cost, a written one is
  tried at most three times;
- each backend process keeps a record of the calls on its device that outlives it. Those are suspects when it dies and
  execute alone from then on; one that is found alone in a second record is refused as poison;
- a silent backend isn't a dead one: calls without a first part move, begun replies wait;
- large messages have streams of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np

from benchmarks.experiments.exchange import LARGE, Answer, GrpcLink, Request, StreamDied, channel
from benchmarks.experiments.processes import Child
from benchmarks.experiments.wire import Part

SILENT, ATTEMPTS = 0.5, 3


class Poison(Exception):
    """Two backends died with this call alone on suspicion."""


class Interrupted(Exception):
    """The stream died after the first part: never retried."""


class TooManyAttempts(Exception):
    pass


class Parts:
    """The sink of a streamed reply: never makes the reader of the link wait; credit follows consumption."""

    def __init__(self) -> None:
        self.begun = False
        self.buffered = 0
        self._parts: deque[Part | Exception] = deque()
        self._more = asyncio.Event()

    def part(self, part: Part) -> None:
        self.begun = True
        self.buffered += len(part.output)
        self._parts.append(part)
        self._more.set()

    def fail(self, error: Exception) -> None:
        self._parts.append(error)
        self._more.set()

    async def next(self) -> Part:
        while not self._parts:
            self._more.clear()
            await self._more.wait()
        part = self._parts.popleft()
        if isinstance(part, Exception):
            if self.begun:
                raise Interrupted from part
            raise part
        self.buffered -= len(part.output)
        return part


class Endpoint:
    """One backend process, restarted when it dies, and the stream to it."""

    def __init__(self, started: list[Child]) -> None:
        self._started = started
        self._folder = tempfile.TemporaryDirectory()
        self.child = self._spawn()
        self.link: GrpcLink | None = None
        self.channel: grpc.aio.Channel | None = None
        self.load = self.deaths = 0
        self.silent = False

    def _spawn(self) -> Child:
        self.record = Path(self._folder.name, str(len(self._started)))
        self.record.write_bytes(bytes(8 * 33))
        child = Child("backend", str(self.record))
        self._started.append(child)
        return child

    @property
    def up(self) -> bool:
        return self.link is not None and not self.link.dead and not self.silent

    @staticmethod
    async def executing_at_death(child: Child, record: Path) -> set[int]:
        """The ids of the calls that were on the device when the process died (none if it lives)."""
        for _ in range(50):
            if child.process.poll() is not None:
                words = np.fromfile(record, np.uint64)
                return {int(word) for word in words[1 : 1 + int(words[0])]}
            await asyncio.sleep(0.01)
        return set()

    async def keep(self) -> None:
        while True:
            if self.child.process.poll() is not None:
                self.child = self._spawn()
            await asyncio.to_thread(self.child.ready)
            self.channel = channel(self.child.hello["grpc"])
            await self.channel.channel_ready()
            while self.child.process.poll() is None:
                link = GrpcLink(self.channel)
                if await link.opened():
                    self.link = link
                    await asyncio.wait([link.reader])
                    self.deaths += 1
                await asyncio.sleep(0.05)
            await self.channel.close()

    async def watch(self) -> None:
        """Silence while calls are in flight makes the endpoint unpickable; any frame makes it pickable again."""
        while True:
            await asyncio.sleep(0.1)
            link, now = self.link, asyncio.get_running_loop().time()
            if link is None or link.dead:
                continue
            if not link.busy and not self.silent:
                link.heard = now
            if now - link.heard < SILENT:
                self.silent = False
            elif not self.silent:
                self.silent = True
                link.evacuate()
                link.submit(Request(bytes(256), now + 60), Answer())  # a probe


class Caller:
    def __init__(self, endpoints: list[Endpoint]) -> None:
        self._endpoints = endpoints
        self.most_buffered = 0  # bytes of one streamed reply that waited for its reader

    async def _pick(self, avoid: Endpoint | None) -> Endpoint:
        while True:
            up = [e for e in self._endpoints if e.up]
            if up:
                return min(up, key=lambda e: (e is avoid, e.load))
            await asyncio.sleep(0.01)

    async def infer(
        self, data: bytes, *, own_stream: bool = True, retry: bool = True, **extra: Any
    ) -> Part:
        """One reply. Raises Poison, TooManyAttempts or, where it isn't tried again, StreamDied."""
        request = Request(data, asyncio.get_running_loop().time() + 30, extra)
        async with self._started(request, own_stream, retry) as (part, *_):
            return part

    async def stream(self, data: bytes, **extra: Any) -> AsyncIterator[Part]:
        """A streamed reply; Interrupted after the first part is final."""
        request = Request(data, asyncio.get_running_loop().time() + 30, extra)
        async with self._started(request, False) as (part, sink, link, ident):
            while True:
                yield part
                if part.final:
                    return
                self.most_buffered = max(self.most_buffered, sink.buffered)
                link.extend(ident, len(part.output))
                part = await sink.next()

    @contextlib.asynccontextmanager
    async def _started(
        self, request: Request, own_stream: bool, retry: bool = True
    ) -> AsyncIterator[tuple[Part, Parts, GrpcLink, int]]:
        """The call with its first part, wherever that took; cancels it when left early."""
        tried, suspect, last = 0, False, None
        why: list[str] = []
        while tried < ATTEMPTS:
            last = await self._pick(last)
            child, record = last.child, last.record
            link, owned = last.link, own_stream and len(request.input) >= LARGE
            assert link is not None
            assert last.channel is not None
            if owned:
                link = GrpcLink(last.channel)
            if suspect:
                request.extra = (request.extra or {}) | {"suspect": True}
            sink = Parts()
            last.load += 1
            ident = link.submit(request, sink)
            try:
                part = await sink.next()
                yield part, sink, link, ident
                return
            except StreamDied as died:
                if owned or not retry:
                    raise
                tried += died.written
                why.append(repr(died))
                culprits = await last.executing_at_death(child, record) if died.crashed else set()
                if suspect and culprits == {ident}:
                    raise Poison from None
                suspect = suspect or ident in culprits
            finally:
                last.load -= 1
                link.cancel(ident)
                if owned:
                    await link.close()
        raise TooManyAttempts(why)
