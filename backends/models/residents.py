"""The models that are on the device: taken in, swapped for newer ones, drained and let go.

Memory is reserved before anything is read and corrected when the model says what it holds.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial

from backends.batching.job import ModelKey
from backends.models.loading import Device, Loader, Model
from backends.models.memory import Memory
from backends.models.repository import Candidate

CLOSE_TIMEOUT = 5.0  # seconds
IDLE = 10.0  # seconds without a request after which a model may be evicted

log = logging.getLogger(__name__)

# Called with a key and the reason when a model has to go to make room for another.
Evict = Callable[[ModelKey, str], Awaitable[None]]


class Residents:
    """What serves, by key. `evict` None means that nobody has to make room.

    Not safe for concurrent calls: the life cycle makes one change at a time.
    """

    def __init__(
        self,
        device: Device,
        loader: Loader,
        memory: Memory,
        files: Executor,
        clock: Callable[[], float],
        evict: Evict | None,
    ) -> None:
        self.memory = memory
        self.models: dict[ModelKey, Model] = {}
        self._device = device
        self._loader = loader
        self._files = files
        self._clock = clock
        self._evict = evict
        self._used: dict[ModelKey, float] = {}

    def touch(self, key: ModelKey) -> None:
        """A request uses the model."""
        self._used[key] = self._clock()

    async def take(
        self, candidate: Candidate, revision: str, serve: Callable[[Model], None]
    ) -> None:
        """Loads the candidate beside what serves under its key, and then puts it in its place.

        `serve` is called in the same step of the event loop, so that every request is checked
        against the interface that it meets. Whatever is raised leaves everything as it was.
        `OverBudget` means that there is no room.
        """
        key = (candidate.name, candidate.version)
        began = time.monotonic()
        model = await self._prepare(candidate, revision)
        old = self.models.get(key)
        if old is not None and old.signature != model.signature:
            # What is queued was checked against the old interface and must not meet the new one.
            await asyncio.to_thread(self._device.remove_model, key)
        self._device.add_model(key, model.runtime, model.signature, model.policy)
        self.models[key] = model
        self.touch(key)
        serve(model)
        log.info("%s is ready after %.1f s, revision %.8s", key, time.monotonic() - began, revision)
        if old is not None:
            await asyncio.to_thread(self._device.release, old.runtime)
            await self._unload(old)
            self.memory.release((*key, old.revision))

    async def let_go(self, key: ModelKey) -> None:
        """Drains the model and gives its memory back."""
        model = self.models.pop(key)
        self._used.pop(key, None)
        await asyncio.to_thread(self._device.remove_model, key)
        await self._unload(model)
        self.memory.release((*key, model.revision))

    async def close(self) -> None:
        """Unloads all models, without waiting for a device that doesn't answer."""
        models, self.models = list(self.models.values()), {}
        unloading = [asyncio.create_task(self._unload(model)) for model in models]
        if unloading:
            _, hanging = await asyncio.wait(unloading, timeout=CLOSE_TIMEOUT)
            for task in hanging:
                task.cancel()

    async def _prepare(self, candidate: Candidate, revision: str) -> Model:
        key = (candidate.name, candidate.version)
        holder = (*key, revision)
        size = candidate.config.memory or sum(size for _, size, _ in candidate.stamp)
        await self._make_room(size, key)
        self.memory.reserve(holder, size)
        model = None
        try:
            read = partial(self._loader.read, candidate, revision)
            model = await asyncio.get_running_loop().run_in_executor(self._files, read)
            await self._make_room(model.memory - size, key)
            self.memory.hold(holder, model.memory)
            return await self._loader.warm_up(model, candidate)
        except BaseException:
            self.memory.release(holder)
            if model is not None:
                await self._unload(model)
            raise

    async def _make_room(self, size: int, newcomer: ModelKey) -> None:
        now = self._clock()
        idle = {
            (*key, model.revision): self._used[key]
            for key, model in self.models.items()
            if self._evict is not None and key != newcomer and now - self._used[key] >= IDLE
        }
        for name, version, _ in self.memory.evicted_for(size, idle):
            if self._evict is not None:
                reason = f"it made room for {newcomer[0]} version {newcomer[1]}"
                await self._evict((name, version), reason)

    async def _unload(self, model: Model) -> None:
        try:
            await self._loader.on_device(model.runtime.unload)
        except Exception:
            log.exception("%s: unloading failed", model.key)
