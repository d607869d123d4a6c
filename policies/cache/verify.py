"""Finds out how often a kept answer is wrong: compares it with a new one.

A sample of hits is executed again for that: detached, of the lowest priority and marked as shadow
traffic, which never fills a queue; a few at a time, and beyond that not at all. It tells what no
hash can: a model whose answers depend on more than its input.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from policies.cache.compare import same
from policies.cache.entry import decode
from protos import schedule
from protos.errors import PenstockError
from protos.service import Service
from protos.timeline import Timeline
from protos.values import InferRequest, Part

log = logging.getLogger(__name__)

MOST = 4  # under way in a worker
CLOSING = 1.0  # seconds
LARGE = 64 << 10  # bytes; to compare more would hold up others for milliseconds

Verdict = Callable[[bool], None]  # is told whether the kept answer says the same as the new one


class Verifier:
    """`service` executes and must not retry; `clock` is the event loop's.

    `dropped` counts what was not verified as too many others were, `failed` what could not be.
    """

    def __init__(self, service: Service, clock: Callable[[], float]) -> None:
        self._service = service
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self.dropped = 0
        self.failed = 0

    def check(self, request: InferRequest, entry: bytes, patience: float, verdict: Verdict) -> None:
        """Executes the request again, later, within so many seconds, and compares."""
        if self._room():
            again = _again(request, self._clock(), patience)
            self._begin(self._check(again, entry, verdict))

    def compare(self, entry: bytes, parts: Sequence[Part], verdict: Verdict) -> None:
        """Compares with an answer that is there: at once, or later if it is large."""
        if len(entry) <= LARGE:
            try:
                right = same(decode(entry), parts)
            except Exception as failure:  # whatever a model's answer makes comparing raise
                self._incomparable(failure)
            else:
                verdict(right)
        elif self._room():
            self._begin(self._compare(entry, parts, verdict))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING)

    def _room(self) -> bool:
        if len(self._tasks) < MOST:
            return True
        self.dropped += 1
        return False

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="kept answer verified")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check(self, request: InferRequest, entry: bytes, verdict: Verdict) -> None:
        try:
            async with asyncio.timeout_at(request.context.deadline):
                parts = await self._parts(request)
        except (PenstockError, TimeoutError):
            self.failed += 1  # which says nothing of the kept answer
        except Exception as failure:
            self._incomparable(failure)
        else:
            await self._compare(entry, parts, verdict)

    async def _compare(self, entry: bytes, parts: Sequence[Part], verdict: Verdict) -> None:
        try:
            if len(entry) <= LARGE:
                right = same(decode(entry), parts)
            else:
                right = await asyncio.to_thread(lambda: same(decode(entry), parts))
        except Exception as failure:
            self._incomparable(failure)
        else:
            verdict(right)

    async def _parts(self, request: InferRequest) -> list[Part]:
        reply = await self._service(request)
        try:
            parts = [reply.first]
            if reply.rest is not None:
                async for part in reply.rest:
                    parts.append(part)  # noqa: PERF401 (asynchronous)
        finally:
            reply.on_close()
        return parts

    def _incomparable(self, failure: Exception) -> None:
        self.failed += 1
        # Neither text nor frames: they may hold what the model said.
        log.warning("a kept answer could not be verified: %s", type(failure).__name__)

    def __repr__(self) -> str:
        return f"<Verifier {len(self._tasks)} under way>"


def _again(request: InferRequest, now: float, patience: float) -> InferRequest:
    """The request with times of its own, as nobody waits for it; without its route's retries."""
    parameters = request.parameters
    if schedule.TIMEOUT in parameters:
        parameters = {key: parameters[key] for key in parameters if key != schedule.TIMEOUT}
    context = replace(
        request.context,
        deadline=now + patience,
        first_deadline=inf,
        timeline=Timeline(now),
        priority=schedule.MAX_PRIORITY,
        shadow=True,
        suspect=False,
        route=None,
    )
    return replace(request, parameters=parameters, context=context)
