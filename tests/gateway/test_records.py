"""The record store as processes use it: under its name there may be another file tomorrow."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from gateway.records import Records
from gateway.store.engine import Store, open_store
from gateway.store.failure import StoreError
from tests.gateway.store.store_records import counted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def records(path: Path) -> Iterator[Records]:
    made = Records(URL.create("sqlite", database=str(path)))
    yield made
    made.close(1.0)


def write(store: Store, at: float) -> None:
    store.arms.add("a", at, "fraud", "", {"stable": counted(0.01)})


def written(store: Store) -> int:
    counts = store.arms.sum("fraud", 0.0)
    return counts["stable"].requests if counts else 0


def test_a_copy_that_takes_the_files_place_is_used_from_the_next_look_on(
    records: Records, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(records.store(), 1.0)
    copy = path.with_name("copy.db")
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    write(records.store(), 2.0)
    for name in ("records.db-wal", "records.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    copy.rename(path)

    other = open_store(f"sqlite:///{path}")
    write(other, 3.0)
    other.close()

    assert written(records.store()) == 2  # the first and what another process wrote
    assert records.store() is records.store()
    assert caplog.text.count("was replaced by another file") == 1


def test_a_file_that_is_gone_is_not_made_anew_and_told_once(
    records: Records, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(records.store(), 1.0)
    kept = path.parent / "kept"
    kept.mkdir()
    for each in path.parent.glob("records.db*"):
        shutil.move(each, kept)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"are gone \(No such file or directory\)"):
            records.store()
    assert not path.exists()
    assert caplog.text.count("can't be used any more") == 1
    path.touch(0o600)  # a copy that begins to arrive
    with pytest.raises(StoreError, match="no gateway has used"):
        records.store()
    for each in path.parent.glob("records.db*"):
        each.unlink()
    for each in kept.glob("records.db*"):
        shutil.move(each, path.parent)
    assert written(records.store()) == 1
