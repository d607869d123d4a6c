"""Readers for the texts of requests: few processes, a deadline, and no more waiting than is said.

Whatever goes wrong, a text that was not read is refused, never passed on.
"""

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from policies.pii.deep.frames import frame, read
from policies.pii.deep.settings import Deep
from policies.pii.span import Span
from protos.errors import Kind, PenstockError

log = logging.getLogger(__name__)

Found = list[list[Span]]

PROGRAM = (sys.executable, "-m", "policies.pii.deep.process")
# A reader that is still at a text after so many deadlines is stopped.
_STUCK = 10
_LOADING = 120.0  # seconds that a model may take to load
_AGAIN = (0.5, 60.0)  # seconds until a reader that could not start is tried again


class NotStarted(Exception):
    """A reader says why it can't load its model."""


@dataclass(slots=True, eq=False)
class _Job:
    raw: bytes
    answer: "asyncio.Future[Found]"


@dataclass(slots=True)
class _Queue:
    """What waits for a reader."""

    jobs: deque[_Job] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, job: _Job) -> None:
        self.jobs.append(job)
        self.more.set()

    def forget(self, job: _Job) -> None:
        """Nobody waits for it any more."""
        with suppress(ValueError):
            self.jobs.remove(job)

    async def take(self) -> _Job:
        """The oldest."""
        while not self.jobs:
            self.more.clear()
            await self.more.wait()
        return self.jobs.popleft()

    def refuse(self) -> None:
        """All that wait."""
        while self.jobs:
            _refuse(self.jobs.popleft())


class Pool:
    """Readers of one model, made in a running event loop. `stop` ends them."""

    def __init__(self, deep: Deep, program: Sequence[str] = PROGRAM) -> None:
        self._deep = deep
        self._queue = _Queue()
        self._asked = 0  # requests that wait for an answer
        self._readers = [_Reader(deep, program) for _ in range(deep.processes)]
        self._tasks = [asyncio.create_task(self._keep(reader)) for reader in self._readers]

    async def find(self, texts: Sequence[str]) -> Found:
        """For each text its names and places.

        Raises TOO_LARGE for more characters than the policy lets be read, OVERLOADED where too many
        requests wait or the answer takes too long, UNAVAILABLE where a reader dies.
        """
        self.check(sum(map(len, texts)))
        if self._asked >= self._deep.processes + self._deep.waiting:
            raise PenstockError(Kind.OVERLOADED, "too many requests wait to be looked for names")
        raw = frame([text.encode("utf-8", "replace").decode() for text in texts])
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        job = _Job(raw, answer)
        self._queue.add(job)
        self._asked += 1
        try:
            async with asyncio.timeout(self._deep.timeout):
                return await answer
        except TimeoutError:
            raise PenstockError(
                Kind.OVERLOADED, "it took too long to look for names in this request"
            ) from None
        finally:
            self._asked -= 1
            self._queue.forget(job)

    def check(self, length: int) -> None:
        """Raises TOO_LARGE for more characters than the policy lets be read."""
        if length > self._deep.longest:
            raise PenstockError(
                Kind.TOO_LARGE,
                f"the privacy policy looks for names in at most {self._deep.longest} characters of"
                " a request, this one has more",
            )

    async def stop(self) -> None:
        """Ends the readers; requests that wait for them are refused."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._queue.refuse()

    @property
    def pids(self) -> list[int]:
        """The processes there are."""
        return [reader.pid for reader in self._readers if reader.pid is not None]

    def __repr__(self) -> str:
        queued = len(self._queue.jobs)
        return f"<Pool of {len(self.pids)} readers, {queued} queued, {self._asked} asked>"

    async def _keep(self, reader: "_Reader") -> None:
        """One reader, started again whenever it ends."""
        pause, longest = _AGAIN
        while True:
            started = False
            try:
                await reader.start()
                started, pause = True, _AGAIN[0]
                while True:
                    await reader.answer(await self._queue.take())
            except NotStarted as error:
                log.error("a reader of %s can't be started: %s", self._deep.model, error)
            except Exception as error:  # whatever it was, the next reader may do better
                log.error("a reader of %s ended: %s", self._deep.model, type(error).__name__)
            finally:
                await reader.stop()
            if started:
                continue
            if not self.pids:  # nobody could answer before the deadline
                self._queue.refuse()
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)


class _Reader:
    """A process with the model loaded."""

    def __init__(self, deep: Deep, program: Sequence[str]) -> None:
        self._deep = deep
        self._program = program
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Raises NotStarted with the reason why there can be none."""
        self._process = await asyncio.create_subprocess_exec(
            *self._program,
            *(self._deep.model, *self._deep.entities),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # What libraries print may quote what they were given.
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(_LOADING):
            said = await self._read()
        if said:
            raise NotStarted(said["failed"])

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def answer(self, job: _Job) -> None:
        """Has a job's texts read. Raises EOFError, OSError or TimeoutError for a lost process."""
        process = self._process
        if process is None or process.stdin is None:
            raise EOFError("not started")
        try:
            async with asyncio.timeout(_STUCK * self._deep.timeout):
                process.stdin.write(job.raw)
                await process.stdin.drain()
                found = await self._read()
            if isinstance(found, dict):
                log.error("a text could not be read by %s: %s", self._deep.model, found["failed"])
                _refuse(job)
                return
            spans = [[Span(*each) for each in told] for told in found]
        except BaseException:
            _refuse(job)
            raise
        if not job.answer.done():
            job.answer.set_result(spans)

    async def stop(self) -> None:
        """Ends the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _read(self) -> Any:
        process = self._process
        if process is None or process.stdout is None:
            raise EOFError("not started")
        return await read(process.stdout)


def _refuse(job: _Job) -> None:
    if not job.answer.done():
        job.answer.set_exception(
            PenstockError(Kind.UNAVAILABLE, "names could not be looked for in this request")
        )
