import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError

from gateway.store.engine import open_store
from gateway.store.recorder import Recorder
from tests.gateway.store.postgres_server import PostgresServer
from tests.gateway.store.store_records import pair


class Written:
    """Takes batches; fails or hangs as told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.fails = False
        self.bad: set[int] = set()
        self.let_go = threading.Event()
        self.let_go.set()

    def __call__(self, items: Sequence[int]) -> None:
        self.let_go.wait()
        if self.fails:
            raise OperationalError("INSERT", {}, Exception("gone"))
        if self.bad & set(items):
            raise ValueError("a record that can't be written")
        self.batches.append(list(items))

    @property
    def items(self) -> list[int]:
        return [item for batch in self.batches for item in batch]


@contextmanager
def recording(
    write: Callable[[Sequence[int]], None], capacity: int = 100, batch: int = 10
) -> Iterator[Recorder[int]]:
    recorder: Recorder[int] = Recorder(write, capacity=capacity, batch=batch, linger=0.01)
    yield recorder
    recorder.close(5.0)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_records_are_written_in_order_and_in_batches() -> None:
    write = Written()
    with recording(write) as recorder:
        assert sum(recorder.put(i) for i in range(35)) == 35
        until(lambda: recorder.written == 35)
    assert write.items == list(range(35))
    assert max(map(len, write.batches)) <= 10
    assert (recorder.dropped, recorder.failures, recorder.queued) == (0, 0, 0)


def test_closing_writes_what_waits() -> None:
    write = Written()
    recorder: Recorder[int] = Recorder(write, capacity=100, batch=10, linger=60.0)
    for i in range(25):
        recorder.put(i)
    recorder.close(5.0)
    assert write.items == list(range(25))
    assert not recorder.put(26)
    assert recorder.dropped == 1


def test_a_store_that_hangs_costs_records_and_nothing_else() -> None:
    write = Written()
    write.let_go.clear()
    with recording(write, capacity=20) as recorder:
        recorder.put(0)
        until(lambda: recorder.queued == 1 and not recorder._waiting)
        began = time.perf_counter()
        kept = sum(recorder.put(i) for i in range(1, 10_001))
        assert time.perf_counter() - began < 1.0
        assert kept == 20
        assert (recorder.queued, recorder.dropped) == (21, 9_980)
        write.let_go.set()
        until(lambda: recorder.queued == 0)
    assert write.items == list(range(21))


def test_closing_doesnt_wait_for_a_store_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    write = Written()
    write.let_go.clear()
    recorder: Recorder[int] = Recorder(write, capacity=20, batch=10, linger=0.001)
    for i in range(15):
        recorder.put(i)
    began = time.monotonic()
    recorder.close(0.2)
    assert time.monotonic() - began < 2.0
    assert "15 records are lost" in caplog.text
    write.let_go.set()


def test_closing_gives_up_on_a_store_that_fails() -> None:
    write = Written()
    write.fails = True
    recorder: Recorder[int] = Recorder(write, capacity=20, batch=10, linger=0.001)
    for i in range(15):
        recorder.put(i)
    recorder.close(0.2)
    until(lambda: recorder.queued == 0)
    assert (recorder.written, recorder.dropped) == (0, 15)


def test_what_failed_is_written_when_the_store_is_back_and_told_once_each_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    write = Written()
    write.fails = True
    with recording(write) as recorder:
        for i in range(15):
            recorder.put(i)
        until(lambda: recorder.failures >= 3)
        write.fails = False
        until(lambda: recorder.written == 15)
    assert write.items == list(range(15))
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_a_record_that_cant_be_written_takes_no_others_with_it() -> None:
    write = Written()
    write.bad = {3, 17}
    with recording(write, batch=20) as recorder:
        for i in range(20):
            recorder.put(i)
        until(lambda: recorder.queued == 0)
    assert write.items == [i for i in range(20) if i not in write.bad]
    assert (recorder.written, recorder.dropped) == (18, 2)


def test_records_survive_a_crash_of_postgresql_in_mid_write(postgres: PostgresServer) -> None:
    store = open_store(postgres.new_database())
    recorder = Recorder(store.pairs.append, capacity=10_000, batch=20, linger=0.001)
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            recorder.put(pair(float(sent), request_id=f"{sent}"))
            sent += 1

    send(400)
    until(lambda: recorder.written > 0)
    postgres.crash()
    send(200)
    until(lambda: recorder.failures > 0)
    postgres.start()
    send(200)
    until(lambda: recorder.queued == 0)
    recorder.close(5.0)
    found = [record.request_id for record in store.pairs.read("fraud", since=0.0)]
    assert found == [f"{i}" for i in range(sent)]  # each of them, and once
    assert store.pairs.counts("fraud").compared == sent
    assert recorder.dropped == 0
    store.close()
