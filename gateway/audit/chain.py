"""A chain on the disk: written by one process from its start to its end, in files of bounded size.

`<chain>.<number>.jsonl`, of which each begins with the last digest of the one before. The writer
holds a lock on the file that it writes, so that whoever verifies knows a chain that is still being
written from one that was cut off.
"""

import fcntl
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from gateway.audit.files import segment_path
from gateway.audit.links import loose_ends
from gateway.audit.seal import Head, Record, Seal, seal_all
from gateway.identity import VERSION

log = logging.getLogger(__name__)

SLICE = 64  # records that are sealed without a pause, a quarter of a millisecond


class Chain:
    """`role` says which process of a gateway writes; `wall` is Unix time.

    Opened by the first record; any thread may write. `failing` while the last attempt failed.
    """

    def __init__(
        self,
        folder: Path,
        role: str,
        seal: Seal,
        *,
        segment_bytes: float,
        segment_time: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._role = role
        self._seal = seal
        self._segment_bytes = segment_bytes
        self._segment_time = segment_time
        self._wall = wall
        self._lock = threading.Lock()
        self._file = -1
        self._size = 0
        self._opened = 0.0
        self._torn = False  # whether there may be half a record behind `_size`
        self._head = Head()
        self._segment = 0
        self.name = _chain_name(wall(), role)
        self.failing = False
        self.failures = 0
        self.written = 0  # records

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return segment_path(self._folder, self.name, self._segment)

    def open(self) -> None:
        """Writes the first record now instead of before another one. Raises OSError."""
        self.append(())

    def append(self, records: Iterable[Record]) -> None:
        """Returns when the records are on the disk. Raises OSError, and then none of them is."""
        with self._lock:
            try:
                self._ready()
                self._write(records)
            except OSError:
                self.failures += 1
                self.failing = True
                raise
            self.failing = False

    def close(self) -> None:
        """Ends the chain with a record that says so. Raises OSError."""
        with self._lock:
            if self._file < 0:
                return
            try:
                self._write([{"at": self._wall(), "what": "end"}])
                self._tell_head()
            finally:
                os.close(self._file)
                self._file = -1

    def _ready(self) -> None:
        if self._file < 0:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            before = loose_ends(self._folder, self._role)
            for end in before:
                if end["closed"] or end["live"]:
                    continue
                log.warning(
                    "the audit chain %s was not closed: it ends after record %d%s",
                    end["chain"],
                    end["n"],
                    f", with {end['torn']} bytes of an unfinished one" if end["torn"] else "",
                )
            self._begin({"what": "begin", "role": self._role, **_process(), "before": before})
            return
        gone = os.fstat(self._file).st_nlink == 0
        if gone and not self.failing:
            log.error("the audit log's file %s was removed", self.path.name)
        old = self._wall() - self._opened >= self._segment_time
        if gone or old or self._size >= self._segment_bytes:
            self._begin({"what": "continue"})

    def _begin(self, first: Mapping[str, Any]) -> None:
        """The next segment, which takes the former one's place when its first record is there."""
        number = self._segment + 1 if self._file >= 0 else self._segment
        path = segment_path(self._folder, self.name, number)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        former = self._file, self._size, self._torn, self._segment, self._head, self.written
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file, self._size, self._torn, self._segment = file, 0, False, number
            header = {
                "at": self._wall(),
                "chain": self.name,
                "segment": number,
                "previous": self._head.digest.decode(),
                "seal": self._seal.name,
                "key": self._seal.mark,
            }
            self._write([{**header, **first}])
            _sync_folder(self._folder)
        except OSError:
            self._file, self._size, self._torn, self._segment, self._head, self.written = former
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        self._opened = self._wall()
        if former[0] >= 0:
            os.close(former[0])
        self._tell_head()

    def _write(self, records: Iterable[Record]) -> None:
        if self._torn:
            os.ftruncate(self._file, self._size)
            self._torn = False
        lines, head, count = self._sealed(records)
        self._torn = True
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self._file, left) :]
            os.fdatasync(self._file)
        except OSError:
            # Half a record must not stay for a reader; where even this fails, the next one tries.
            os.ftruncate(self._file, self._size)
            self._torn = False
            raise
        self._torn = False
        self._size += len(lines)
        self._head = head
        self.written += count

    def _sealed(self, records: Iterable[Record]) -> tuple[bytes, Head, int]:
        """The lines, the new head, and how many records they are."""
        head, left = self._head, iter(records)
        pieces: list[bytes] = []
        while some := list(islice(left, SLICE)):
            lines, head = seal_all(some, head, self._seal)
            pieces.append(lines)
            time.sleep(0)  # gives the interpreter to an event loop that waits for it
        return b"".join(pieces), head, head.next - self._head.next

    def _tell_head(self) -> None:
        # The process's log usually goes to another machine: with these a log that was cut at its
        # end, or rewritten by somebody who has the key, can be told from the true one.
        last = self._head.next - 1
        log.info(
            "audit chain %s: record %d, digest %s", self.name, last, self._head.digest.decode()
        )

    def __repr__(self) -> str:
        return f"<Chain {self.name} {self._head.next} records>"


def _chain_name(now: float, role: str) -> str:
    started = datetime.fromtimestamp(now, UTC)
    return f"{started:%Y%m%dT%H%M%S.%fZ}-{role}-{secrets.token_hex(4)}"


def _process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "penstock": VERSION}


def _sync_folder(folder: Path) -> None:
    """So that a new file is there after a loss of power as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
