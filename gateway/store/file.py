"""The file of a record store in SQLite: whose it is, and whether it is still there.

Who replaces or removes a file takes its name away, not the file: a process that has it open goes on
reading and writing what nobody else sees (sqlite.org, "How To Corrupt An SQLite Database File").
"""

import logging
import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError

from gateway.store.failure import StoreError

log = logging.getLogger(__name__)

_OURS_ONLY = 0o600


class StoreFile(NamedTuple):
    """A file as it was when it was opened; `inode` is one together with its device."""

    path: Path
    mode: int
    inode: tuple[int, int]

    def stands(self) -> bool:
        """Whether the path still leads to this file. Raises StoreError where it leads nowhere."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise StoreError(
                f"the records in {self.path} are gone ({error.strerror}): put them back, or restart"
                " all that use them to begin anew"
            ) from None
        return self.inode == (found.st_dev, found.st_ino)

    def note_mode(self) -> None:
        if self.mode & ~_OURS_ONLY:
            log.warning("the records in %s can be read by others (mode %o)", self.path, self.mode)

    def damaged(self, error: DBAPIError) -> StoreError:
        return StoreError(
            f"the records in {self.path} can't be read: {error.orig}; put a copy in their place, "
            "or move them away to begin anew"
        )


def found_file(path: Path, make: bool) -> StoreFile:
    """The file that is to be opened, made where there is none.

    Raises StoreError where it can't be made, or isn't there and nothing is to be made.
    """
    try:
        if make:
            _make_private(path)
        found = path.stat()
    except FileNotFoundError:
        raise StoreError(f"there are no records: {path} isn't there; a gateway makes it") from None
    except OSError as error:
        raise StoreError(
            f"the records in {path} can't be opened: {error.strerror}; store.url names the file"
        ) from None
    return StoreFile(path, stat.S_IMODE(found.st_mode), (found.st_dev, found.st_ino))


def is_damage(error: DBAPIError) -> bool:
    # Its subclasses are of what may pass, such as that another writes.
    return type(error.orig) is sqlite3.DatabaseError


def _make_private(path: Path) -> None:
    """SQLite gives its other files the mode of this one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OURS_ONLY))
