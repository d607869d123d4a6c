"""Executes a sample of hits again, to find out how often a kept answer is wrong.

Detached, of the lowest priority and marked as shadow traffic, which never fills a queue; a few at a
time, and beyond that not at all. It tells what no hash can: a model whose answers depend on more
than its input.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from math import inf

from policies.cache.compare import same
from policies.cache.entry import decode
from protos import schedule
from protos.errors import PenstockError
from protos.service import Service
from protos.values import InferRequest, Part, Timeline

log = logging.getLogger(__name__)

MOST = 4  # under way in a worker
CLOSING = 1.0  # seconds


class Verifier:
    """`service` executes and must not retry; `clock` is the event loop's."""

    def __init__(self, service: Service, clock: Callable[[], float]) -> None:
        self._service = service
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self.dropped = 0
        self.failed = 0

    def check(
        self,
        request: InferRequest,
        entry: bytes,
        patience: float,
        told: Callable[[bool], None],
    ) -> None:
        """Tells, later, whether the answer is still the one that was kept; or nothing."""
        if len(self._tasks) >= MOST:
            self.dropped += 1
            return
        again = _again(request, self._clock(), patience)
        task = asyncio.get_running_loop().create_task(
            self._check(again, entry, told), name="kept answer verified"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING)

    async def _check(
        self, request: InferRequest, entry: bytes, told: Callable[[bool], None]
    ) -> None:
        try:
            async with asyncio.timeout_at(request.context.deadline):
                parts = await self._parts(request)
            told(same(decode(entry), parts))
        except (PenstockError, TimeoutError):
            self.failed += 1  # which says nothing of the kept answer
        except Exception:
            self.failed += 1
            log.exception("a kept answer could not be verified")

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
