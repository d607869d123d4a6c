"""The backend of one framework on one device, serving the models of a folder."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from backends.batched import Batched
from backends.batching.batch_span import trace_batch
from backends.host import Identity, Place, host
from backends.intake import Intake
from backends.models.lifecycle import Lifecycle
from backends.oip import OipService
from backends.presence import Presence


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says; `memory_budget` in bytes (0: the device's)."""

    place: Place
    runtime: str
    repository: Path
    device: str
    threads: int
    allow_code: bool
    memory_budget: int
    evict: bool


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, then finishes what it has and leaves."""
    loop = asyncio.get_running_loop()
    await host(settings.place, lambda identity: Batching(settings, identity, loop))


class Batching:
    """A device that executes batches, and the models on it."""

    def __init__(
        self, settings: Settings, identity: Identity, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Raises ValueError as `Lifecycle` does."""
        self._intake = Intake(loop)
        self._intake.device.start()
        self._lifecycle = Lifecycle(
            settings.repository,
            settings.runtime,
            self._intake.device,
            device=settings.device,
            threads=settings.threads,
            allow_code=settings.allow_code,
            memory_budget=settings.memory_budget,
            evict=settings.evict,
        )
        self._intake.models = self._lifecycle
        if identity.tracing is not None:
            self._intake.device.on_batch = partial(trace_batch, identity.tracing)
        self.worker = Batched(self._intake)
        self.presence = Presence(
            identity,
            device=settings.device,
            runtime=settings.runtime,
            lifecycle=self._lifecycle,
            intake=self._intake,
        )

    @property
    def in_flight(self) -> int:
        return self._intake.in_flight

    def unary(self, access_key: str | None) -> OipService:
        return OipService(self._intake, self._lifecycle, access_key)

    def tasks(self, changed: Callable[[], None]) -> list[Coroutine[Any, Any, None]]:
        self._lifecycle.on_change = changed
        self.presence.on_change = changed
        return [self._lifecycle.run(), self.presence.probe()]

    async def close(self) -> None:
        await self._lifecycle.close()
        self._intake.device.stop(drain=False, timeout=5.0)
