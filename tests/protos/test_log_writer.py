"""The log is written by a thread, and nobody else waits for whoever reads it."""

import logging
import threading
import time

import pytest

from protos.log_writer import LogHandler, LogWriter


class Stuck:
    """A standard error that nobody reads, until it is freed."""

    def __init__(self) -> None:
        self.freed = threading.Event()
        self.lines: list[str] = []

    def __call__(self, line: bytes) -> None:
        self.freed.wait(30.0)
        self.lines.append(line.decode())


def record(text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("gateway.hub", logging.WARNING, "", 0, text, arguments, None)


def test_lines_are_written_in_order() -> None:
    written: list[bytes] = []
    writer = LogWriter(written.append)
    handler = LogHandler(writer)
    for number in range(100):
        handler.emit(record("lost %d", number))
    handler.close()
    assert written == [f"lost {number}\n".encode() for number in range(100)]
    assert (writer.written, writer.dropped) == (100, 0)


def test_what_does_not_fit_is_counted_and_told_once_somebody_reads() -> None:
    stuck = Stuck()
    writer = LogWriter(stuck, capacity=10)
    logger = logging.getLogger("protos.log_writer")
    handler = LogHandler(writer)
    logger.addHandler(handler)
    try:
        for _ in range(50):
            handler.emit(record("lost"))
        assert writer.dropped in (39, 40)  # the thread has one in hand, or not yet
        stuck.freed.set()
        told = f"{writer.dropped} lines of the log were dropped so far: nobody read them\n"
        deadline = time.monotonic() + 30.0
        while told not in stuck.lines and time.monotonic() < deadline:
            time.sleep(0.01)
        assert stuck.lines.count(told) == 1
    finally:
        logger.removeHandler(handler)
        handler.close()


def test_a_line_that_cannot_be_formatted_or_written_stops_nothing() -> None:
    lines: list[bytes] = []

    def write(line: bytes) -> None:
        if b"refused" in line:
            raise BrokenPipeError
        lines.append(line)

    writer = LogWriter(write)
    handler = LogHandler(writer)
    handler.emit(record("%d", "no number"))
    handler.emit(record("refused"))
    handler.emit(record("half a pair \udcff"))
    handler.close()
    assert lines == [
        b"WARNING gateway.hub: a line that can't be written (TypeError)\n",
        b"half a pair \\udcff\n",
    ]
    assert (writer.written, writer.dropped) == (2, 1)


def test_the_end_does_not_wait_for_a_reader() -> None:
    stuck = Stuck()
    writer = LogWriter(stuck)
    writer.put(lambda: "one\n")
    writer.close(0.01)
    assert not writer.put(lambda: "two\n")
    stuck.freed.set()


@pytest.mark.parametrize("text", ["one", "ä" * 5000])
def test_lines_arrive_whole(text: str) -> None:
    written: list[bytes] = []
    writer = LogWriter(written.append)
    writer.put(lambda: text)
    writer.close(5.0)
    assert b"".join(written).decode() == text
