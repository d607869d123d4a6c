"""Callers that ask one question after the other, on connections that they keep."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from protos.errors import Kind, PenstockError

_OK = 200
_PATIENCE = 10.0  # seconds for one answer
_PAUSE = 0.25  # seconds until the next connection after one that broke
_HOPELESS = 4  # connections of each caller in a row that broke, without an answer to anybody


@dataclass(frozen=True, slots=True)
class Question:
    """One request, whole as it goes over the wire."""

    head: bytes
    body: bytes

    @property
    def wire(self) -> bytes:
        return self.head + self.body


def question(host: str, path: str, token: str, body: bytes) -> Question:
    """A POST of JSON; without a token if that is empty."""
    lines = [f"POST {path} HTTP/1.1", f"host: {host}", "content-type: application/json"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    lines.append(f"content-length: {len(body)}")
    return Question("\r\n".join([*lines, "", ""]).encode(), body)


@dataclass(slots=True)
class Seen:
    """What all callers saw. `seconds` are of single answers, `lasted` of the whole load.

    `arms` counts `x-penstock-arm`, `codes` statuses; 0 is a connection that broke.
    """

    seconds: list[float] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    arms: Counter[str] = field(default_factory=Counter)
    # Of good answers by question, where each is asked once.
    bodies: dict[int, bytes] = field(default_factory=dict)
    lasted: float = 0.0

    @property
    def answered(self) -> int:
        return self.codes[_OK]

    @property
    def failed(self) -> int:
        return self.codes.total() - self.answered

    @property
    def rate(self) -> float:
        return self.answered / self.lasted if self.lasted else 0.0

    def quantile(self, share: float) -> float:
        """Milliseconds; 0 without answers."""
        if not self.seconds:
            return 0.0
        in_order = sorted(self.seconds)
        return 1e3 * in_order[min(len(in_order) - 1, int(share * len(in_order)))]


class Load:
    """Asks the questions in turn, by so many callers, until all are asked or it is stopped.

    `run` raises UNAVAILABLE once nobody gets an answer any more.
    """

    def __init__(
        self, address: tuple[str, int], questions: Sequence[Question], *, callers: int, once: bool
    ) -> None:
        self._address = address
        self._questions = questions
        self._callers = callers
        self._most = len(questions) if once else None
        self._keep = once
        self._next = count()
        self._stopped = False
        self._broken = 0  # connections since the last answer
        self.seen = Seen()

    def stop(self) -> None:
        """No further question is asked; answers that are on their way are waited for."""
        self._stopped = True

    async def run(self) -> Seen:
        began = time.perf_counter()
        await asyncio.gather(*(self._call() for _ in range(self._callers)))
        self.seen.lasted = time.perf_counter() - began
        if self._hopeless:
            host, port = self._address
            raise PenstockError(Kind.UNAVAILABLE, f"nobody answers any more at {host}:{port}")
        return self.seen

    async def run_for(self, seconds: float) -> Seen:
        asyncio.get_running_loop().call_later(seconds, self.stop)
        return await self.run()

    @property
    def _hopeless(self) -> bool:
        return self._broken >= _HOPELESS * self._callers

    async def _call(self) -> None:
        while not self._stopped and not self._hopeless:
            try:
                await self._connection()
            except (OSError, EOFError, ValueError, TimeoutError):
                self.seen.codes[0] += 1
                self._broken += 1
                await asyncio.sleep(_PAUSE)

    async def _connection(self) -> None:
        """Questions on one connection for as long as it lasts."""
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            while not self._stopped:
                index = next(self._next)
                if self._most is not None and index >= self._most:
                    self.stop()
                    return
                writer.write(self._questions[index % len(self._questions)].wire)
                began = time.perf_counter()
                async with asyncio.timeout(_PATIENCE):
                    status, arm, body = await _answer(reader)
                self._broken = 0
                self.seen.seconds.append(time.perf_counter() - began)
                self.seen.codes[status] += 1
                if arm:
                    self.seen.arms[arm] += 1
                if self._keep and status == _OK:
                    self.seen.bodies[index] = body
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str, bytes]:
    """Status, arm and body of an answer with a content length, as those of inference have."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    body = await reader.readexactly(int(fields["content-length"]))
    return int(lines[0].split(" ", 2)[1]), fields.get("x-penstock-arm", ""), body
