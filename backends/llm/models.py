"""The language models of a folder, each in a folder of its own, and the adapters in each of those.

What is new or changed is loaded beside what serves, and takes its place once it is warm; what it
takes the place of answers those who asked it, and ends then. What fails to load leaves it serving.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from backends.language.models import ready
from backends.llm.engine import Engine, Step
from backends.llm.engine_thread import EngineThread
from backends.llm.entry import Entry, Options, Table
from backends.llm.folders import Stamp, check_links, models_in, revision_of, stamp_of
from backends.llm.loading import Loaded, load
from backends.llm.served_adapters import ServedAdapters
from backends.llm.watch import Watch
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError, unknown_model
from protos.wording import quote

log = logging.getLogger(__name__)

# Between two looks at files that somebody may still copy, and how often they are looked at.
SETTLE = 0.25  # seconds
SETTLE_TRIES = 40
STOP = 5.0  # seconds, for the step under way


@dataclass(frozen=True, slots=True)
class Leaving:
    """A model that nobody can ask any more; `shown` is in the index for it, if something is."""

    thread: EngineThread
    loaded: Loaded
    shown: Entry | None = None
    gone: bool = False  # with its folder


class Models:
    """Models by name; `deliver` gets what their engines say, in the engines' threads."""

    def __init__(self, root: Path, options: Options, deliver: Callable[[Step], None]) -> None:
        """Raises ValueError if the folder can't be read or holds no model's folder."""
        try:
            found, faults = models_in(root)
        except OSError as error:
            raise ValueError(f"the model repository can't be read: {error.strerror}") from error
        for name, fault in faults.items():
            raise ValueError(f"{quote(name)}: {fault}")
        if not found:
            raise ValueError("the model repository has no folder with a config.json in it")
        self._root = root
        self._options = options
        self._deliver = deliver
        self._table = Table(Entry(name, root / name) for name in found)
        self._adapters = ServedAdapters(root, self._table)
        self._watch = Watch()
        self._unloaded: set[str] = set()  # models that are not served though they are there
        self._leaving: list[Leaving] = []
        self._changing = threading.Lock()  # which models there are
        self._troubles: set[str] = set()  # with the folder

    @property
    def revision(self) -> int:
        """Grows with every change of the index."""
        return self._table.revision

    def entries(self) -> list[Entry]:
        return self._table.entries()

    def get(self, name: str, version: str) -> Entry:
        """The READY model; raises NOT_FOUND or UNAVAILABLE."""
        return ready(self._table.by_name, name, version)

    def look(self) -> list[str]:
        """Which models to `take` now, since they came or changed; gives up those that went."""
        with self._changing:
            try:
                found, faults = models_in(self._root)
            except OSError as error:
                # An unmounted folder is no reason to unload what serves.
                self._tell({f"the model repository can't be read: {error.strerror}"})
                return []
            self._tell({f"{quote(name)} is not served: {why}" for name, why in faults.items()})
            known = {each.name: each for each in self.entries() if ":" not in each.name}
            for name in found.keys() - known.keys():
                self._table.put(Entry(name, self._root / name))
            for name in known.keys() - found.keys():
                if known[name].state != pb.UNLOADING:
                    self._unloaded.discard(name)
                    self._give_up(known[name], "its files are gone", gone=True)
            wanted = {name: stamp for name, stamp in found.items() if name not in self._unloaded}
            return self._watch.decide(wanted)

    def take(self, name: str) -> None:
        """Loads a model, which takes long; afterwards it serves or says why not."""
        with self._changing:
            self._load(name)

    def look_for_adapters(self) -> None:
        """Serves adapters that came or changed, and no more those that went."""
        self._adapters.look()

    def load(self, name: str) -> None:
        """Serves a model or an adapter as its folder is now, once its files have settled.

        Raises NOT_FOUND if there is none, UNAVAILABLE with the reason if it can't be served.
        """
        if ":" in name:
            self._adapters.load(name)
            return
        with self._changing:
            if not self._settled(name):
                raise unknown_model(name)
            self._unloaded.discard(name)
            self._load(name)
            entry = self._table.by_name[name]
        if entry.state != pb.READY:
            what = f"model {quote(name)} can't be loaded: {entry.reason}"
            raise PenstockError(Kind.UNAVAILABLE, what)

    def unload(self, name: str) -> None:
        """Serves a model or an adapter no more, whatever its folder holds, until it is loaded.

        Those under way are answered. Raises NOT_FOUND if there is none.
        """
        if ":" in name:
            self._adapters.unload(name)
            return
        with self._changing:
            entry = self._table.by_name.get(name)
            if entry is None:
                raise unknown_model(name)
            self._unloaded.add(name)
            self._give_up(entry, "it was unloaded", gone=False)

    def drained(self, asked: Callable[[EngineThread], bool]) -> list[Leaving]:
        """Those that can end; to be called where requests are taken, so that none comes between."""
        return [each for each in self._leaving if not asked(each.thread)]

    def end(self, leaving: Leaving) -> None:
        """Gives its memory back."""
        with self._changing:
            self._leaving.remove(leaving)
            leaving.thread.stop(STOP)
            leaving.loaded.close()
            shown = leaving.shown
            if shown is not None and self._table.by_name.get(shown.name) is shown:
                if leaving.gone:
                    self._table.put(without=[shown.name])
                else:
                    self._table.put(replace(shown, state=pb.UNAVAILABLE))

    def threads(self) -> list[EngineThread]:
        """Of all that serve, and of those that still answer."""
        serving = [each.thread for each in self.entries() if each.thread and not each.adapter]
        return serving + [each.thread for each in self._leaving]

    def lost(self) -> str:
        """Which model can compute nothing any more, and why; "" while all can."""
        serving = [(each.name, each.loaded) for each in self.entries() if not each.adapter]
        for name, loaded in (
            *serving,
            *(("a former model", each.loaded) for each in self._leaving),
        ):
            if loaded and loaded.lost:
                return f"{name}: {loaded.lost}"
        return ""

    def close(self) -> None:
        """Ends all engines after the steps under way, and the processes that hold models' parts."""
        serving = [each for each in self.entries() if not each.adapter]
        parts = [each.loaded for each in serving if each.loaded]
        parts += [each.loaded for each in self._leaving]
        for thread in self.threads():
            thread.stop(STOP)
        for loaded in parts:
            loaded.close()

    def adapters(self) -> list[str]:
        """The names of those in memory."""
        ids = {id_ for each in self.entries() if each.loaded for id_ in each.loaded.adapters.here}
        return [each.name for each in self.entries() if each.adapter in ids]

    def _settled(self, name: str) -> bool:
        """Whether there is such a folder, whose files nobody changes just now."""
        before: Stamp | None = None
        for _ in range(SETTLE_TRIES):
            found, _ = models_in(self._root)
            if name not in found:
                return False
            if found[name] and found[name] == before:
                break
            before = found[name]
            time.sleep(SETTLE)
        return True

    def _load(self, name: str) -> None:
        known = self._table.by_name.get(name)
        serving = known if known is not None and known.state == pb.READY else None
        folder = self._root / name
        stamp = stamp_of(folder)
        self._watch.tried(name, stamp)
        if serving is None:
            self._table.put(Entry(name, folder))
        try:
            check_links(self._root, folder)
            options = self._options
            revision = revision_of(folder, f"{options.dtype} {options.int8}")
            if serving is not None and serving.revision == revision:
                self._table.put(replace(serving, reason=""))
                return
            loaded, engine = self._warm(folder)
            if stamp_of(folder) != stamp:
                loaded.close()
                raise ValueError("its files changed while they were read")
        except Exception as error:
            known_fault = isinstance(error, ValueError)
            log.warning("%s can't be loaded: %s", name, error, exc_info=not known_fault)
            why = f"it can't be read or run ({type(error).__name__})"
            reason = str(error) if known_fault else why
            if serving is None:
                self._table.put(Entry(name, folder, pb.UNAVAILABLE, reason))
            else:
                reason = f"a newer revision was not taken: {reason}"
                self._table.put(replace(serving, reason=reason))
            return
        thread = EngineThread(engine, self._deliver)
        self._adapters.exchange_base(
            Entry(name, folder, pb.READY, "", revision, loaded, engine, thread)
        )
        if serving is not None:
            self._leave(serving)

    def _warm(self, folder: Path) -> tuple[Loaded, Engine]:
        options = self._options
        loaded = load(
            folder,
            dtype=options.dtype,
            int8=options.int8,
            block=options.block,
            memory=options.memory,
            device=options.device,
            adapter_memory=options.adapter_memory,
            ranks=options.ranks,
        )
        engine = Engine(
            loaded.runner,
            loaded.vocabulary,
            loaded.pool,
            longest=loaded.longest,
            budget=options.budget,
            step_time=options.step_time,
            most=options.most,
            speculate=options.speculate,
        )
        try:
            engine.warm_up()
        except BaseException:
            loaded.close()
            raise
        return loaded, engine

    def _give_up(self, entry: Entry, reason: str, *, gone: bool) -> None:
        state = pb.UNLOADING if entry.thread else pb.UNAVAILABLE
        shown = Entry(entry.name, entry.folder, state, reason)
        self._adapters.give_up_base(shown, gone=gone)
        if entry.thread:
            self._leave(entry, shown, gone=gone)
        elif gone:
            self._table.put(without=[entry.name])

    def _leave(self, entry: Entry, shown: Entry | None = None, *, gone: bool = False) -> None:
        if entry.thread is not None and entry.loaded is not None:
            self._leaving.append(Leaving(entry.thread, entry.loaded, shown, gone))

    def _tell(self, troubles: set[str]) -> None:
        """Each once, as long as it lasts."""
        for trouble in sorted(troubles - self._troubles):
            log.warning("%s", trouble)
        self._troubles = troubles
