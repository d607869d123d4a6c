"""The adapters of the models' folders, which come, change and go while the models serve."""

import hashlib
import logging
import threading
from dataclasses import replace
from pathlib import Path

from backends.llm import adapters as adapter_files
from backends.llm.adapters import Adapters
from backends.llm.entry import Entry, Table
from backends.llm.folders import ADAPTERS, Stamp, adapters_in, check_links
from backends.llm.loading import Loaded
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError, unknown_model
from protos.incident import frames_of

log = logging.getLogger(__name__)


class ServedAdapters:
    def __init__(self, root: Path, table: Table) -> None:
        self._root = root
        self._table = table
        self._unloaded: set[str] = set()  # not served though they are there
        self._changing = threading.Lock()

    def look(self) -> None:
        """Serves those that came or changed, and no more those that went."""
        for base in self._table.entries():
            if base.loaded is not None and not base.adapter:
                with self._changing:
                    try:
                        self._look(base.name)
                    except OSError as error:
                        log.warning("%s: no look at its adapters: %s", base.name, error.strerror)

    def load(self, name: str) -> None:
        """Serves an adapter, as its folder is now, and has it in memory.

        Raises NOT_FOUND if there is none, UNAVAILABLE with the reason if it can't be served.
        """
        base_name, _, own = name.partition(":")
        with self._changing:
            base = self._table.by_name.get(base_name)
            if base is None or base.loaded is None:
                raise unknown_model(name)
            stamp = adapters_in(base.folder).get(own)
            if stamp is None:
                raise unknown_model(name)
            self._unloaded.discard(name)
            known = self._table.by_name.get(name)
            if known is None or known.stamp != stamp or known.state != pb.READY:
                self._exchange(known, self._read(base, base.loaded, own, stamp))
            entry = self._table.by_name[name]
        if entry.state != pb.READY or entry.loaded is None:
            raise PenstockError(Kind.UNAVAILABLE, entry.reason)
        try:
            entry.loaded.adapters.prepare(entry.adapter)
        except ValueError as error:
            raise PenstockError(Kind.UNAVAILABLE, str(error)) from error

    def unload(self, name: str) -> None:
        """Serves an adapter no more, whatever its folder holds; those under way are answered.

        Raises NOT_FOUND if there is none.
        """
        with self._changing:
            entry = self._table.by_name.get(name)
            if entry is None:
                raise unknown_model(name)
            self._unloaded.add(name)
            if entry.loaded:
                entry.loaded.adapters.retire(entry.adapter, changed=False)
            why = "it was unloaded"
            self._table.put(Entry(name, entry.folder, pb.UNAVAILABLE, why, stamp=entry.stamp))

    def exchange_base(self, base: Entry) -> None:
        """Serves a model that has just been loaded, together with its adapters."""
        with self._changing:
            found = [base]
            try:
                there = adapters_in(base.folder)
            except OSError:
                there = {}  # the next look says so
            for own, stamp in there.items():
                name = f"{base.name}:{own}"
                if name in self._unloaded:
                    known = self._table.by_name.get(name)
                    found += [known] if known else []
                elif stamp and base.loaded:
                    found.append(self._read(base, base.loaded, own, stamp))
            self._table.put(*found, without=self._of(base.name))

    def give_up_base(self, base: Entry, *, gone: bool) -> None:
        """Serves a model's adapters no more, nor itself; `gone` with its folder, for ever."""
        with self._changing:
            self._table.put(base, without=self._of(base.name))
            if gone:
                self._unloaded -= {each for each in self._unloaded if _base(each) == base.name}

    def _look(self, base_name: str) -> None:
        base = self._table.by_name.get(base_name)
        if base is None or base.loaded is None:
            return  # it went meanwhile
        found = {f"{base_name}:{own}": stamp for own, stamp in adapters_in(base.folder).items()}
        for name, stamp in found.items():
            known = self._table.by_name.get(name)
            if name in self._unloaded or not stamp or (known and known.stamp == stamp):
                continue
            own = name.partition(":")[2]
            self._exchange(known, self._read(base, base.loaded, own, stamp))
        for name in self._of(base_name):
            if name not in found:
                gone = self._table.by_name[name]
                self._table.put(without=[name])
                self._unloaded.discard(name)
                base.loaded.adapters.retire(gone.adapter, changed=True)

    def _of(self, base: str) -> list[str]:
        return [each for each in self._table.by_name if ":" in each and _base(each) == base]

    def _exchange(self, known: Entry | None, entry: Entry) -> None:
        """Serves the adapter in the place of the one that was known by its name."""
        self._table.put(entry)
        if known is not None and known.loaded is not None and known.adapter != entry.adapter:
            known.loaded.adapters.retire(known.adapter, changed=True)

    def _read(self, base: Entry, loaded: Loaded, own: str, stamp: Stamp) -> Entry:
        folder = base.folder / ADAPTERS / own
        name = f"{base.name}:{own}"
        try:
            check_links(self._root, folder)
            found = adapter_files.read(folder, loaded.model, loaded.shards)
        except Exception as error:  # nothing that lies in a folder harms anybody else
            reason = str(error) if isinstance(error, ValueError) else "it can't be read"
            log.warning("adapter %s can't be served: %s", name, reason)
            if not isinstance(error, ValueError | OSError):
                log.warning("adapter %s: %s", name, frames_of(error))
            return Entry(name, folder, pb.UNAVAILABLE, reason, stamp=stamp)
        revision = hashlib.sha256(f"{base.revision} {found.digest}".encode()).hexdigest()
        # Who was let in with the files as they were isn't served by others from the cache.
        id_ = f"{name}@{revision}"
        adapters: Adapters = loaded.adapters
        adapters.place(id_, folder, found.digest)
        return replace(
            base, name=name, folder=folder, reason="", revision=revision, adapter=id_, stamp=stamp
        )


def _base(name: str) -> str:
    return name.partition(":")[0]
