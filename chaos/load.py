"""Requests at planned times, whether or not the earlier ones have been answered (an open loop).

A closed loop asks less as soon as it is answered later, so it never shows an overload. Each request
carries its number, and the model gives it back: a reply that is another's is seen.
"""

import asyncio
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp

from chaos.history import History, Request

PATH = "/v2/models/timed/infer"
_OUTPUT = {"name": "number", "datatype": "INT64", "shape": [1, 1]}
PATIENCE = 15.0  # seconds after which a client gives up on a reply; a promise is then broken


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a tenant's token and how often."""

    token: str
    rate: float  # requests a second, on average
    tenant: str = "tests"
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 0.0  # seconds that requests ask to be answered within; 0 asks for nothing


@dataclass(slots=True)
class Load:
    """Poisson arrivals of each caller, to the targets in turn, from entering to leaving the block.

    `now` is the experiment's clock. `fresh` asks each time on a new connection. `leave` is the
    share of requests whose client goes away within `leave_within` seconds. `connections` is the
    most at once; requests wait for one. 0 is as many as it takes.
    """

    targets: Sequence[str]
    callers: Sequence[Caller]
    now: Callable[[], float]
    rng: random.Random
    history: History = field(default_factory=History)
    path: str = PATH
    fresh: bool = False
    connections: int = 0
    leave: float = 0.0
    leave_within: float = 0.05
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _session: aiohttp.ClientSession | None = None
    _planning: list[asyncio.Task[None]] = field(default_factory=list)
    _asking: list[asyncio.Task[Request]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=self.connections, force_close=self.fresh)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        loop = asyncio.get_running_loop()
        self._planning = [loop.create_task(self._plan(each)) for each in self.callers]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Plans no more, and waits for what is still to be answered."""
        for task in self._planning:
            task.cancel()
        planned = await asyncio.gather(*self._planning, return_exceptions=True)
        # All that were ever asked: one that ended without a line in the history is no experiment.
        asked = await asyncio.gather(*self._asking, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        for ended in (*planned, *asked):
            if isinstance(ended, Exception):
                raise ended

    async def _plan(self, caller: Caller) -> None:
        targets = itertools.cycle(self.targets)
        due = self.now()
        while True:
            due += self.rng.expovariate(caller.rate)
            if (wait := due - self.now()) > 0:
                await asyncio.sleep(wait)
            asking = self._ask(caller, next(targets), due, next(self.numbers))
            self._asking.append(asyncio.get_running_loop().create_task(asking))

    async def ask(self, caller: Caller, number: int) -> Request:
        """One request now, beside those that are planned; how it ended."""
        return await self._ask(caller, self.targets[0], self.now(), number)

    async def _ask(self, caller: Caller, target: str, planned: float, number: int) -> Request:
        sent = self.now()
        goes_in = self.rng.uniform(0, self.leave_within) if self.rng.random() < self.leave else None
        status, whole, retry_after, error, left = 0, False, "", "", False
        try:
            async with asyncio.timeout(goes_in):
                status, whole, retry_after, error = await self._answer(caller, target, number)
        except TimeoutError:
            left, error = goes_in is not None, "no answer"
        except Exception as failure:  # whatever became of it, it was asked
            error = type(failure).__name__
        request = Request(
            number,
            planned,
            sent,
            self.now(),
            status,
            whole,
            caller.tenant,
            retry_after,
            error,
            left,
        )
        self.history.requests.append(request)
        return request

    async def _answer(self, caller: Caller, target: str, number: int) -> tuple[int, bool, str, str]:
        """Status, whether the reply is complete and this request's, Retry-After, what was said."""
        assert self._session is not None
        headers = {"authorization": f"Bearer {caller.token}", **dict(caller.headers)}
        async with self._session.post(
            target + self.path, data=body(number, caller.timeout), headers=headers
        ) as reply:
            retry_after = reply.headers.get("retry-after", "")
            try:
                said = await reply.read()
            except aiohttp.ClientPayloadError:
                return reply.status, False, retry_after, "cut"
        if reply.status != 200:
            return reply.status, True, retry_after, said[:200].decode(errors="replace")
        return 200, _number(said) == number, retry_after, ""


def body(number: int, timeout: float = 0.0) -> bytes:
    """The request as JSON of the Open Inference Protocol; `timeout` in seconds, 0 for none."""
    tensor = {"name": "number", "datatype": "INT64", "shape": [1, 1], "data": [number]}
    parameters = {"timeout": round(timeout * 1e6)} if timeout else {}
    return json.dumps({"inputs": [tensor], "parameters": parameters}).encode()


def _number(said: bytes) -> int:
    """The number in a reply; -1 if it is no such reply."""
    try:
        (output,) = json.loads(said)["outputs"]
        (number,) = output.pop("data")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return -1
    return number if output == _OUTPUT and type(number) is int else -1
