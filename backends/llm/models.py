"""The language models of a folder, each in a folder of its own, and the adapters in each of those.

Models are loaded once, at the start; adapters come and go while they serve.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from backends.language.models import ready
from backends.llm import adapters as adapter_files
from backends.llm.adapters import Adapters
from backends.llm.engine import Engine, Step
from backends.llm.engine_thread import EngineThread
from backends.llm.loading import Loaded, load
from backends.models.config import name_fault
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError, unknown_model
from protos.wording import quote

log = logging.getLogger(__name__)

ADAPTERS = "adapters"  # in a model's folder: each a folder in PEFT's form
# What answers depend on, of what lies in a model's folder.
MATTERS = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")

Stamp = tuple[tuple[str, int, int], ...]  # name, size, time of change


@dataclass(frozen=True, slots=True)
class Options:
    """How models are run; `memory` in bytes is each one's cache of keys and values.

    Without it the cache takes what a GPU has left.
    """

    dtype: str = "fp32"
    int8: bool = False
    memory: int | None = 1 << 30
    device: str = "cpu"
    block: int = 16
    budget: int = 512
    step_time: float = 0.02  # seconds of a step in which long prompts and others meet
    most: int = 64
    speculate: int = 0
    adapter_memory: int = 1 << 28  # of each model's adapters that nobody uses
    ranks: int = 1  # processes among which each model is divided


@dataclass(frozen=True, slots=True)
class Entry:
    """A model, or an adapter of one; `loaded` and `thread` are there once it is READY.

    `adapter` names the adapter's files as they were when it was found.
    """

    name: str
    folder: Path
    state: pb.ModelState = pb.LOADING
    reason: str = "it is being read"
    revision: str = ""
    loaded: Loaded | None = None
    engine: Engine | None = None
    thread: EngineThread | None = None
    adapter: str = ""
    stamp: Stamp = ()


class Models:
    """Models by name; `deliver` gets what their engines say, in the engines' threads."""

    def __init__(self, root: Path, options: Options, deliver: Callable[[Step], None]) -> None:
        """Raises ValueError if the folder can't be read or holds no model's folder."""
        self._root = root
        self._options = options
        self._deliver = deliver
        self._entries = {each.name: each for each in _entries(root)}
        self._unloaded: set[str] = set()  # adapters that are not served though they are there
        self._changing = threading.Lock()  # which adapters there are
        self.revision = 1

    def entries(self) -> list[Entry]:
        return sorted(self._entries.values(), key=lambda entry: entry.name)

    def get(self, name: str, version: str) -> Entry:
        """The READY model; raises NOT_FOUND or UNAVAILABLE."""
        return ready(self._entries, name, version)

    def load(self, entry: Entry) -> None:
        """Reads one, which takes long; afterwards it is READY or says why not."""
        options = self._options
        try:
            _check_links(self._root, entry.folder)
            revision = _revision(entry.folder, f"{options.dtype} {options.int8}")
            loaded = load(
                entry.folder,
                dtype=options.dtype,
                int8=options.int8,
                block=options.block,
                memory=options.memory,
                device=options.device,
                adapter_memory=options.adapter_memory,
                ranks=options.ranks,
            )
        except Exception as error:
            log.exception("%s can't be loaded", entry.name)
            reason = str(error) if isinstance(error, ValueError) else type(error).__name__
            self._set(replace(entry, state=pb.UNAVAILABLE, reason=reason))
            return
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
        engine.warm_up()
        thread = EngineThread(engine, self._deliver)
        self._set(
            replace(
                entry,
                state=pb.READY,
                reason="",
                revision=revision,
                loaded=loaded,
                engine=engine,
                thread=thread,
            )
        )

    def find_adapters(self) -> bool:
        """Looks for adapters that came, changed or went; whether any did."""
        before = self.revision
        for base in self.entries():
            if base.loaded is None or base.adapter:
                continue
            with self._changing:
                self._look(base, base.loaded.adapters)
        return self.revision != before

    def load_adapter(self, name: str) -> None:
        """Serves an adapter, as its folder is now, and has it in memory.

        Raises NOT_FOUND if there is none, UNAVAILABLE with the reason if it can't be served.
        """
        base = self.get(name.partition(":")[0], "")
        with self._changing:
            found = next((each for each in _adapters(base) if each.name == name), None)
            if found is None or base.loaded is None:
                raise unknown_model(name)
            self._unloaded.discard(name)
            known = self._entries.get(name)
            if known is None or known.stamp != found.stamp or known.state != pb.READY:
                self._exchange(known, _read_adapter(self._root, base, found), base.loaded.adapters)
            entry = self._entries[name]
        if entry.state != pb.READY:
            raise PenstockError(Kind.UNAVAILABLE, entry.reason)
        try:
            base.loaded.adapters.prepare(entry.adapter)
        except ValueError as error:
            raise PenstockError(Kind.UNAVAILABLE, str(error)) from error

    def unload_adapter(self, name: str) -> None:
        """Serves an adapter no more, whatever its folder holds; those under way are answered.

        Raises NOT_FOUND if there is none.
        """
        with self._changing:
            entry = self._entries.get(name)
            if entry is None or ":" not in name:
                raise unknown_model(name)
            self._unloaded.add(name)
            if entry.loaded:
                entry.loaded.adapters.retire(entry.adapter, changed=False)
            self._set(
                Entry(name, entry.folder, pb.UNAVAILABLE, "it was unloaded", stamp=entry.stamp)
            )

    def _look(self, base: Entry, adapters: Adapters) -> None:
        found = {each.name: each for each in _adapters(base)}
        for name, entry in found.items():
            known = self._entries.get(name)
            if name not in self._unloaded and (known is None or known.stamp != entry.stamp):
                self._exchange(known, _read_adapter(self._root, base, entry), adapters)
        for name in [each for each in self._entries if each.startswith(f"{base.name}:")]:
            if name not in found:
                gone = self._entries[name]
                self._entries = {each: e for each, e in self._entries.items() if each != name}
                self._unloaded.discard(name)
                self.revision += 1
                adapters.retire(gone.adapter, changed=True)

    def _exchange(self, known: Entry | None, entry: Entry, adapters: Adapters) -> None:
        """Serves the adapter in the place of the one that was known by its name."""
        self._set(entry)
        if known is not None and known.adapter != entry.adapter:
            adapters.retire(known.adapter, changed=True)

    def threads(self) -> list[EngineThread]:
        return [each.thread for each in self.entries() if each.thread and not each.adapter]

    def lost(self) -> str:
        """Which model can compute nothing any more, and why; "" while all can."""
        for each in self.entries():
            if each.loaded and not each.adapter and each.loaded.lost:
                return f"{each.name}: {each.loaded.lost}"
        return ""

    def close(self) -> None:
        """Ends all engines after the steps under way, and the processes that hold models' parts."""
        for thread in self.threads():
            thread.stop(timeout=5.0)
        for each in self.entries():
            if each.loaded and not each.adapter:
                each.loaded.close()

    def adapters(self) -> list[str]:
        """The names of those in memory."""
        ids = {id_ for each in self.entries() if each.loaded for id_ in each.loaded.adapters.here}
        return [each.name for each in self.entries() if each.adapter in ids]

    def _set(self, entry: Entry) -> None:
        # Replaced, never changed: others read them in threads of their own.
        self._entries = {**self._entries, entry.name: entry}
        self.revision += 1


def _adapters(base: Entry) -> Iterator[Entry]:
    """Those in the folder, not yet read."""
    root = base.folder / ADAPTERS
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if (folder / adapter_files.CONFIG).is_file() and name_fault(folder.name) is None:
            try:
                stamp = tuple(
                    (path.name, path.stat().st_size, path.stat().st_mtime_ns)
                    for path in sorted(folder.iterdir())
                )
            except OSError:
                continue  # it is just being changed, and looked at again
            yield Entry(f"{base.name}:{folder.name}", folder, stamp=stamp)


def _check_links(root: Path, folder: Path) -> None:
    """Raises ValueError for links that lead out of the repository."""
    inside = root.resolve()
    for path in (folder, *folder.iterdir()):
        if not path.resolve().is_relative_to(inside):
            raise ValueError(f"{quote(path.name)} is a link that leaves the model repository")


def _read_adapter(root: Path, base: Entry, entry: Entry) -> Entry:
    if base.loaded is None:
        raise ValueError("the base model isn't loaded")
    try:
        _check_links(root, entry.folder)
        adapter_files.read(entry.folder, base.loaded.model, base.loaded.shards)
        revision = _revision(entry.folder, base.revision)
    except (ValueError, OSError) as error:
        log.warning("adapter %s can't be served: %s", entry.name, error)
        reason = str(error) if isinstance(error, ValueError) else "it can't be read"
        return replace(entry, state=pb.UNAVAILABLE, reason=reason)
    # Who was let in with the files as they were isn't served by others from the cache.
    id_ = f"{entry.name}@{revision}"
    base.loaded.adapters.place(id_, entry.folder)
    return replace(
        base,
        name=entry.name,
        folder=entry.folder,
        revision=revision,
        adapter=id_,
        stamp=entry.stamp,
    )


def _entries(root: Path) -> list[Entry]:
    try:
        folders = sorted(each for each in root.iterdir() if (each / "config.json").is_file())
    except OSError as error:
        raise ValueError(f"the model repository can't be read: {error.strerror}") from error
    if not folders:
        raise ValueError("the model repository has no folder with a config.json in it")
    found = [Entry(each.name, each) for each in folders]
    for entry in found:
        fault = name_fault(entry.name)
        if fault is not None:
            raise ValueError(f"{quote(entry.name)}: {fault}")
    return found


def _revision(folder: Path, beside: str) -> str:
    """The digest of what answers depend on, the same on every machine."""
    whole = hashlib.sha256(beside.encode())
    for path in sorted({path for pattern in MATTERS for path in folder.glob(pattern)}):
        whole.update(path.name.encode("utf-8", "surrogateescape") + b"\0")
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
