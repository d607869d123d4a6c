import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.store.engine import open_store
from gateway.store.failure import StoreError
from gateway.store.recorder import Recorder
from routing.shadow.record import Outcome
from tests.gateway.store.postgres_server import PostgresServer
from tests.gateway.store.store_records import PAIR, counted

WRITER = """
import sys
from gateway.store.engine import open_store
from tests.gateway.store.store_records import counted, pair
url, name = sys.argv[1:]
store = open_store(url)
for i in range(25):
    store.pairs.append([pair(float(i), request_id=f"{name}/{i}/{n}") for n in range(4)])
    store.arms.add(name, float(i), "fraud", "", {"stable": counted(0.01)})
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_records_are_there_when_the_store_is_opened_again(url: str) -> None:
    first = open_store(url)
    first.pairs.append([PAIR])
    first.close()
    second = open_store(url)
    assert list(second.pairs.read("fraud", since=0.0)) == [PAIR]
    second.close()


def test_many_open_an_empty_database_at_once(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        for store in pool.map(open_store, [url] * 8):
            store.close()


def test_two_processes_write_at_once(url: str) -> None:
    names = ("a", "b")
    command = [sys.executable, "-c", WRITER, url]
    writers = [subprocess.Popen([*command, name], cwd=Path.cwd()) for name in names]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    store = open_store(url)
    assert store.pairs.counts("fraud").compared == 200
    assert store.arms.sum("fraud", 0.0)["stable"].requests == 50
    ids = {record.request_id for record in store.pairs.read("fraud", since=0.0)}
    assert len(ids) == 200
    store.close()


def test_threads_share_a_store(url: str) -> None:
    store = open_store(url)

    def write(i: int) -> None:
        store.arms.add(f"{i}", 1.0, "fraud", "", {"stable": counted(0.01)})
        store.arms.sum("fraud", 0.0)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(64)))
    assert store.arms.sum("fraud", 0.0)["stable"].requests == 64
    store.close()


def test_records_of_another_version_are_refused_in_plain_words(url: str) -> None:
    open_store(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE penstock_schema SET version = 99"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"schema 99, this one reads 3.*store\.url"):
        open_store(url)


def test_what_is_only_read_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "state" / "records.db"
    with pytest.raises(StoreError, match=r"no records: .*/records\.db isn't there"):
        open_store(f"sqlite:///{path}", make=False)
    assert not path.parent.exists()


def test_readers_make_no_tables(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch(0o600)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"no gateway has used .* yet"):
            open_store(url, make=False)


def test_readers_open_what_a_gateway_made(url: str) -> None:
    open_store(url).close()
    store = open_store(url, make=False)
    assert store.pairs.routes() == []
    store.close()


def test_records_of_another_version_stay_as_they_are(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE penstock_schema (version INTEGER)"))
        connection.execute(text("INSERT INTO penstock_schema VALUES (1)"))
    for make in (True, False):
        with pytest.raises(StoreError, match="another version of Penstock"):
            open_store(url, make=make)
    assert inspect(engine).get_table_names() == ["penstock_schema"]
    engine.dispose()


def test_a_folder_that_cannot_be_made_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for make in (True, False):
        with pytest.raises(StoreError, match=r"can't be opened: Not a directory; store\.url"):
            open_store(f"sqlite:///{tmp_path}/file/state/records.db", make=make)


def test_errors_hold_nothing_of_what_was_to_be_written(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(url)
    engine = create_engine(url)
    with engine.begin() as connection:  # what any failure of the statement looks like
        connection.execute(text("DROP TABLE penstock_pairs"))
    engine.dispose()
    told = replace(
        PAIR,
        tenant="canary-tenant",
        request_id="canary-request",
        outcome=Outcome(False, label="canary-label"),
        payloads='{"primary": "canary-payload"}',
    )
    recorder = Recorder(store.pairs.append, capacity=10, batch=5, linger=0.01)
    recorder.put(told)
    while not recorder.failures:
        time.sleep(0.01)
    recorder.close(1.0)
    store.close()
    assert "can't be written" in caplog.text
    assert "INSERT INTO penstock_pairs" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://localhost/x", "begins with sqlite:/// or postgresql"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("records", "can't be read"),
    ],
)
def test_other_urls_are_refused(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        open_store(url)


def test_a_server_that_is_not_there_is_told_soon(tmp_path: Path) -> None:
    with pytest.raises(SQLAlchemyError):
        open_store(f"postgresql://nobody@/none?host={tmp_path}")


def test_passwords_are_not_shown(postgres: PostgresServer) -> None:
    url = postgres.new_database().replace("penstock@", "penstock:secret@")
    store = open_store(url)
    assert "secret" not in repr(store)
    store.close()


def test_what_sqlite_writes_is_ours_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "records.db"
    store = open_store(f"sqlite:///{path}")
    store.pairs.append([PAIR])
    names = ("records.db", "records.db-wal", "records.db-shm")
    assert {name: mode(path.with_name(name)) for name in names} == dict.fromkeys(names, 0o600)
    store.close()


def test_a_file_that_others_can_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "records.db"
    path.touch(0o644)
    path.chmod(0o644)
    open_store(f"sqlite:///{path}").close()
    assert "can be read by others (mode 644)" in caplog.text
    assert mode(path) == 0o644


def test_a_file_that_is_no_database_is_told_in_one_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "records.db"
    path.write_text("rubbish" * 1000)
    recorder = Recorder(
        lambda _: open_store(f"sqlite:///{path}").close(), capacity=10, batch=5, linger=0.01
    )
    recorder.put("a record")
    while not recorder.failures:
        time.sleep(0.01)
    recorder.close(0.0)
    assert f"records in {path} can't be read: file is not a database; put a copy" in caplog.text
    assert "Traceback" not in caplog.text
    assert "read by others" not in caplog.text
