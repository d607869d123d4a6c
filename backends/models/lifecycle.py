"""The models of a backend over time: found, loaded, swapped for newer ones, unloaded.

A folder is looked at every second. What is new or changed is loaded beside what serves and takes
its place only when it is warm; what fails to load leaves the old one serving.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from backends import runtimes
from backends.batching.job import ModelKey
from backends.models.loading import Device, Loader, Model
from backends.models.memory import Memory, device_total
from backends.models.probe import Probe
from backends.models.repository import Candidate, Found, Repository
from backends.models.residents import Residents
from backends.models.revision import Revisions
from backends.models.table import ModelEntry, ModelTable, ReadyEntry, State
from backends.models.watch import Action, Load, Refuse, Remove, Wait, Watch
from protos.errors import Kind, PenstockError, unknown_model
from protos.garbage import settle
from protos.wording import quote

T = TypeVar("T")

log = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two looks at the folder
# Between the first two looks, and while somebody waits for a load: long enough to see that a file
# still grows.
SETTLE = 0.25
SETTLE_TRIES = 40
LONGEST_REASON = 500  # characters

__all__ = ["Lifecycle", "ModelEntry"]


class Lifecycle:
    """One runtime's models on one device. All methods run on one event loop.

    `memory_budget` is in bytes, 0 for the device's own bound (none on a CPU); with `evict`, idle
    models make room for new ones. `on_change` is called after every change of `revision`.
    """

    def __init__(
        self,
        root: Path,
        runtime: str,
        loop: Device,
        *,
        device: str = "cpu",
        threads: int = 1,
        allow_code: bool = False,
        memory_budget: int = 0,
        evict: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ValueError if there is no such runtime or no such folder."""
        module = runtimes.load(runtime)
        if not root.is_dir():
            raise ValueError(f"the model repository {root} is no folder")
        self.on_change: Callable[[], None] = lambda: None
        self._root = root.absolute()
        self._repository = Repository(self._root, runtime, runtimes.extensions())
        self._revisions = Revisions(self._root)
        # One thread, so that files are read and models loaded one after the other.
        self._files = ThreadPoolExecutor(1, "model-files")
        self._evict = evict
        self._residents = Residents(
            loop,
            Loader(module, loop, device, threads, allow_code),
            Memory(memory_budget or device_total(device)),
            self._files,
            clock,
            self._retire if evict else None,
        )
        self._probe = Probe(loop)
        self._table = ModelTable(lambda: self.on_change())
        self._watch = Watch()
        self._found: list[Found] = []
        self._lock = asyncio.Lock()  # held while anything is loaded or unloaded
        self._unreadable = False
        self._asked_for: set[asyncio.Task[None]] = set()

    @property
    def memory(self) -> Memory:
        """How many bytes of device memory are used, were at most, and may be."""
        return self._residents.memory

    @property
    def revision(self) -> int:
        """Grows with every change of the index."""
        return self._table.revision

    def index(self) -> list[ModelEntry]:
        """All versions that were found, also those that can't be served."""
        return self._table.index()

    def get(self, model: str, version: str) -> ReadyEntry:
        """The READY version, the highest for ""; raises NOT_FOUND or UNAVAILABLE."""
        entry = self._table.get(model, version)
        if self._evict:
            self._residents.touch(entry.key)
        return entry

    async def run(self) -> None:
        """Watches the folder until it is cancelled."""
        pause = SETTLE
        settled = -1
        while True:
            try:
                async with self._lock:
                    await self._look()
            except Exception:  # what serves goes on, and the next look may do better
                log.exception("a look at the model repository failed")
            if self.revision != settled:
                settled = self.revision
                settle()
            await asyncio.sleep(pause)
            pause = INTERVAL

    async def load(self, model: str) -> None:
        """Loads the model's versions, or what is newer of them, also if the caller goes away.

        Raises NOT_FOUND if the folder has no such model, UNAVAILABLE with the reason if no version
        could be loaded.
        """
        await self._finished(self._load_all(model))

    async def unload(self, model: str) -> None:
        """Drains and unloads all versions until they are loaded again or their files change.

        This is finished also if the caller goes away. Raises NOT_FOUND if there is no such model.
        """
        await self._finished(self._unload_all(model))

    async def _finished(self, change: Coroutine[Any, Any, None]) -> None:
        """Waits for a change that isn't cancelled halfway with whoever asked for it."""
        task = asyncio.create_task(change)
        self._asked_for.add(task)
        task.add_done_callback(self._asked_for.discard)
        await asyncio.shield(task)

    async def _load_all(self, model: str) -> None:
        async with self._lock:
            self._watch.retry(model)
            for _ in range(SETTLE_TRIES):
                actions = await self._look()
                if not any(isinstance(one, Wait) and one.key[0] == model for one in actions):
                    break
                await asyncio.sleep(SETTLE)
            entries = [entry for entry in self.index() if entry.name == model]
        if not entries:
            raise unknown_model(model)
        if not any(entry.ready for entry in entries):
            raise PenstockError(
                Kind.UNAVAILABLE, f"model {quote(model)} can't be loaded: {entries[-1].reason}"
            )

    async def _unload_all(self, model: str) -> None:
        async with self._lock:
            entries = [entry for entry in self.index() if entry.name == model]
            if not entries:
                raise unknown_model(model)
            self._watch.settle(model, self._found)
            for entry in entries:
                if entry.ready:
                    await self._retire(entry.key, "it was unloaded")
                elif entry.state is State.LOADING:
                    self._table.move(entry.key, State.UNAVAILABLE, "it was unloaded")

    async def probe(self) -> str | None:
        """Why the device can't be trusted to answer, or None; executes a sample if it is idle."""
        return await self._probe.run(list(self._residents.models.values()))

    async def close(self) -> None:
        """Unloads everything; the watching has been cancelled and the requests are over."""
        changes = list(self._asked_for)
        for task in changes:
            task.cancel()
        await asyncio.gather(*changes, return_exceptions=True)
        for key in self._residents.models:
            self._table.move(key, State.UNLOADING, "the backend stops")
        await self._residents.close()
        self._files.shutdown(wait=False, cancel_futures=True)

    async def _look(self) -> list[Action]:
        """One look at the folder and everything that follows from it."""
        try:
            self._found = await self._read(self._repository.scan)
        except OSError as error:
            # An unmounted folder is no reason to unload what serves.
            if not self._unreadable:
                log.error("the model repository can't be read: %s", error)
            self._unreadable = True
            return []
        self._unreadable = False
        actions = self._watch.decide(self._found)
        for action in actions:
            match action:
                case Remove(key):
                    await self._remove(key)
                case Refuse(refusal):
                    self._fail((refusal.name, refusal.version), refusal.reason)
                case Wait(key):
                    if key not in self._residents.models:
                        self._table.move(key, State.LOADING, "its files still change")
                case Load(candidate):
                    await self._load(candidate)
        return actions

    async def _load(self, candidate: Candidate) -> None:
        key = (candidate.name, candidate.version)
        for warning in candidate.warnings:
            log.warning("%s: %s", candidate.name, warning)
        try:
            if key not in self._residents.models:
                self._table.move(key, State.LOADING, "it is being loaded")
            await self._take(candidate)
        except asyncio.CancelledError:
            raise
        except (Exception, SystemExit) as error:
            log.warning("%s can't be loaded", key, exc_info=not isinstance(error, ValueError))
            self._fail(key, self._sentence(error))

    async def _take(self, candidate: Candidate) -> None:
        key = (candidate.name, candidate.version)
        revision = await self._read(partial(self._revisions.of, candidate))
        serving = self._residents.models.get(key)
        if serving is not None and serving.revision == revision:
            self._table.explain(key, serving.note)
            return
        await self._residents.take(candidate, revision, self._serve)

    def _serve(self, model: Model) -> None:
        self._table.serve(
            ReadyEntry(
                *model.key,
                State.READY,
                model.note,
                model.revision,
                model.signature,
                model.policy,
                model.config,
            )
        )

    async def _retire(self, key: ModelKey, reason: str) -> None:
        """Drains the version, gives its memory back and keeps it in the index."""
        self._table.move(key, State.UNLOADING, reason)
        await self._residents.let_go(key)
        self._table.move(key, State.UNAVAILABLE, reason)

    async def _remove(self, key: ModelKey) -> None:
        if key in self._residents.models:
            await self._retire(key, "its files are gone")
        if self._table.entry(key) is not None:
            self._table.remove(key)

    def _fail(self, key: ModelKey, reason: str) -> None:
        """The reason goes beside what serves, or says why nothing does."""
        if key in self._residents.models:
            self._table.explain(key, f"a newer revision was not taken: {reason}")
        else:
            self._table.move(key, State.UNAVAILABLE, reason)

    def _sentence(self, error: BaseException) -> str:
        """What operators see: without the machine's paths, and not longer than a few lines."""
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError):
            text = f"can't be read: {error.strerror or text}"
        elif isinstance(error, SystemExit):
            text = "it ended the process while it was loaded"
        for path in (str(self._root.resolve()), str(self._root)):
            text = text.replace(f"{path}/", "")
        return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"

    async def _read(self, fn: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._files, fn)
