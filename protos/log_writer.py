"""A process's log: lines wait in a bounded queue, and one thread writes them to standard error.

A standard error that nobody reads blocks whoever writes to it; here that is this thread, and not an
event loop that serves. What doesn't fit meanwhile is dropped and counted.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger(__name__)

CAPACITY = 2000  # lines
CLOSE = 1.0  # seconds in which what waits may still be written at the end
RETRY = 0.05  # seconds until a full pipe that may not block is tried again

Line = Callable[[], str]


class LogWriter:
    """`write` is called in the writer's thread, with one line.

    Counters: `written` and `dropped`, of lines.
    """

    def __init__(self, write: Callable[[bytes], None], *, capacity: int = CAPACITY) -> None:
        self._write = write
        self._capacity = capacity
        self._lines: SimpleQueue[Line | None] = SimpleQueue()
        self._closing = False
        self._refused = 0  # dropped by `put`: each counter has one writer, but for a race or two
        self._lost = 0  # dropped by the thread
        self._told = 0  # of those dropped
        self.written = 0
        self._thread = threading.Thread(target=self._run, name="writes the log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        return self._refused + self._lost

    @property
    def waiting(self) -> int:
        return self._lines.qsize()

    def put(self, line: Line) -> bool:
        """False when it was dropped; never blocks. The text is made in the thread, with its end."""
        if self._lines.qsize() >= self._capacity or self._closing:
            self._refused += 1
            return False
        self._lines.put(line)
        return True

    def close(self, timeout: float) -> None:
        """Writes what waits, as far as that goes in so many seconds."""
        self._closing = True
        self._lines.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write(line().encode(errors="backslashreplace"))
            except Exception:
                self._lost += 1  # there is nowhere to say so, but below and in the metrics
            else:
                self.written += 1
                self._confess()

    def _confess(self) -> None:
        """One line, when somebody reads again, for all that were dropped meanwhile."""
        dropped = self.dropped
        if dropped > self._told and self.waiting <= self._capacity // 2:
            self._told = dropped
            log.warning("%d lines of the log were dropped so far: nobody read them", dropped)


class LogHandler(logging.Handler):
    """Records of Python's logging on their way to a writer."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = f"{self.format(record)}\n"
        except Exception as error:
            # What `Handler.handleError` does: it would write to standard error, here and now.
            kind = type(error).__name__
            text = f"{record.levelname} {record.name}: a line that can't be written ({kind})\n"
        self._writer.put(lambda: text)

    def close(self) -> None:
        self._writer.close(CLOSE)
        super().close()


def to_stderr(line: bytes) -> None:
    """Past `sys.stderr`, on whose lock the interpreter would fail at its end if this is stuck."""
    while line:
        try:
            line = line[os.write(2, line) :]
        except BlockingIOError:
            time.sleep(RETRY)


def configure(formatter: logging.Formatter) -> LogWriter:
    """Sets up the root logger of a process, and Python's warnings with it.

    A process that ends by `os._exit` calls `logging.shutdown` before.
    """
    writer = LogWriter(to_stderr)
    handler = LogHandler(writer)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
    # What can't be logged isn't told on standard error by whoever logs.
    logging.raiseExceptions = False
    return writer


def text_formatter() -> logging.Formatter:
    """For people."""
    return logging.Formatter("%(levelname)s %(name)s: %(message)s")
