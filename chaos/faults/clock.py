"""A clock that can be set while processes run by it (libfaketime)."""

import os
from collections.abc import Mapping
from pathlib import Path

from chaos.probe import faketime_library

HOUR = 3600
KNOWN_WITHIN = 1  # seconds, after which a process reads how far off the clock is

# libfaketime 0.9.10 fails clock_nanosleep where it is to leave the monotonic clock alone.
_SLEEP = """
import select
import time


def sleep(seconds):
    select.select((), (), (), seconds)


time.sleep = sleep
"""


class WallClock:
    """Off by so many seconds for processes that are started with `environment`.

    With `monotonic` so are their monotonic clocks, as if so much time had passed.
    """

    def __init__(self, file: Path, off: int = 0, *, monotonic: bool = False) -> None:
        self._file = file
        self._monotonic = monotonic
        self._site = file.with_name(f"{file.name}-python")
        self._site.mkdir()
        (self._site / "sitecustomize.py").write_text(_SLEEP)
        self.set(off)

    @property
    def environment(self) -> Mapping[str, str]:
        """Raises FileNotFoundError where libfaketime isn't installed (Need.FAKETIME)."""
        library = faketime_library()
        if library is None:
            raise FileNotFoundError("libfaketime.so.1")
        return {
            "PYTHONPATH": os.fspath(self._site),
            "LD_PRELOAD": os.fspath(library),
            "FAKETIME_TIMESTAMP_FILE": os.fspath(self._file),
            "FAKETIME_CACHE_DURATION": str(KNOWN_WITHIN),
            "FAKETIME_DONT_FAKE_MONOTONIC": str(int(not self._monotonic)),
            "DONT_FAKE_MONOTONIC": str(int(not self._monotonic)),  # as older releases call it
        }

    def set(self, off: int) -> None:
        """Seconds that it is ahead, or behind if negative."""
        new = self._file.with_name(f"{self._file.name}.new")
        new.write_text(f"{off:+d}")
        new.replace(self._file)
