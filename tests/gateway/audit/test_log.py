"""The log of one process: what waits for the disk, what doesn't, and what is told of losses."""

import asyncio
import os
import re
import threading
from pathlib import Path

import pytest

from gateway.audit.log import AuditLog
from gateway.audit.read import Wanted, records
from gateway.audit.seal import Seal
from gateway.audit.verify import verify
from gateway.config import load_config
from policies.audit import AuditSettings
from policies.refusal import Rejected, refusal
from protos.errors import Kind, PenstockError, invalid
from protos.principal import Principal
from protos.timeline import Timeline
from tests.gateway.audit.written_log import START, Wall, chain

WHO = Principal("ann", "acme", frozenset(), "corp")


def made(folder: Path, role: str = "worker-0", **settings: object) -> AuditLog:
    clock = iter(range(10**6))
    return AuditLog(
        AuditSettings.model_validate(settings),
        folder,
        role,
        Seal(),
        wall=Wall(),
        clock=lambda: next(clock) / 1000,
    )


def closed(log: AuditLog, folder: Path, what: str = "") -> list[dict[str, object]]:
    log.close(30.0)
    assert verify(folder, Seal()).sound
    return list(records(folder, Wanted(what=what)))


def request(log: AuditLog, model: str = "fraud") -> None:
    log.request(model, "http", 200, Timeline(0.0, principal=WHO), "")


def test_requests_are_written_in_their_order(tmp_path: Path):
    log = made(tmp_path)
    for number in range(3000):
        request(log, f"m{number}")
    found = closed(log, tmp_path, "request")
    assert [each["model"] for each in found] == [f"m{number}" for number in range(3000)]


def test_what_does_not_fit_is_counted_in_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.audit.log.CAPACITY", 10)
    log = made(tmp_path)
    goes_on = threading.Event()
    write = log.chain.append

    def slow(batch):
        goes_on.wait()
        write(batch)

    log.chain.append = slow  # type: ignore[method-assign]
    for _ in range(50):
        request(log)
    goes_on.set()
    log.chain.append = write  # type: ignore[method-assign]
    dropped = log.dropped
    found = closed(log, tmp_path)
    kept = sum(each["what"] == "request" for each in found)
    assert dropped > 0
    assert kept + sum(each.get("dropped", 0) for each in found) == 50


async def test_what_is_done_is_on_the_disk_before(tmp_path: Path):
    log = made(tmp_path)
    async with log.action("model.load", WHO, model="fraud"):
        (found,) = records(tmp_path, Wanted(what="model"))
    assert found.items() >= {"what": "model.load", "subject": "ann", "model": "fraud"}.items()
    assert len(closed(log, tmp_path, "model")) == 1


async def test_what_fails_is_recorded_a_second_time(tmp_path: Path):
    log = made(tmp_path)
    with pytest.raises(PenstockError):
        async with log.action("model.load", WHO, model="fraud"):
            raise invalid("no such thing")
    found = closed(log, tmp_path, "model")
    assert [(each["what"], each.get("error")) for each in found] == [
        ("model.load", None),
        ("model.load.failed", "INVALID"),
    ]


async def test_what_cannot_be_recorded_is_not_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    folder = tmp_path / "audit"
    folder.write_text("a file where the folder should be")
    log = made(folder)
    assert "the audit log can't be written" in caplog.text
    assert not log.writable
    with pytest.raises(PenstockError, match="not done without a record") as refused:
        async with log.action("model.load", WHO):
            pytest.fail("it was done")
    assert refused.value.kind is Kind.UNAVAILABLE
    request(log)  # which nobody waits for
    folder.unlink()
    async with log.action("model.load", WHO):
        assert log.writable
    assert [each["what"] for each in closed(log, folder)].count("request") == 1


async def test_a_flood_of_strangers_leaves_few_records_and_a_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.audit.log.LEFT_OUT_AFTER", 0.01)
    log = made(tmp_path, strangers=5)
    for _ in range(500):
        log.stranger("http", "10.0.0.1", refusal(Rejected("the token has expired")))
    await asyncio.sleep(0.05)  # or a little longer: then it is counted once more
    for _ in range(200):
        log.stranger("http", "10.0.0.1", refusal(ValueError("eyJhbGciOi…")))
    found = closed(log, tmp_path)
    told = [each for each in found if each["what"] == "stranger"]
    assert (
        told[0].items()
        >= {
            "face": "http",
            "peer": "10.0.0.1",
            "why": "the token has expired",
        }.items()
    )
    assert "eyJhb" not in str(found)
    counted = sum(each.get("left_out", 0) for each in found if each["what"] == "strangers")
    assert len(told) + counted == 700
    assert len(told) <= 10


def test_old_files_are_removed_and_that_is_recorded(tmp_path: Path):
    wall = Wall()
    old = chain(tmp_path, wall, seal=Seal())
    for _ in range(8):
        old.append([{"at": START, "what": "request"}])
    old.close()
    paths = sorted(tmp_path.iterdir())
    for path in paths:
        os.utime(path, (START - 8 * 86400, START - 8 * 86400))
    os.utime(paths[-1], (START, START))
    log = made(tmp_path, keep="7d")
    log.remove_old()
    found = closed(log, tmp_path, "forget")
    assert [each["file"] for each in found[0]["segments"]] == [path.name for path in paths[:-1]]
    assert not any(path.exists() for path in paths[:-1])
    assert paths[-1].exists()


def test_beyond_so_many_bytes_the_oldest_files_go_and_what_is_left_is_verified(tmp_path: Path):
    gateway = made(tmp_path, role="gateway", keepBytes="40KiB")
    worker = chain(tmp_path, Wall(), seal=Seal())
    for _ in range(30):
        worker.append([{"at": START, "what": "request", "tenant": "t" * 4000}])
        gateway.remove_old()
    worker.close()
    gateway.close(30.0)
    kept = [path for path in tmp_path.iterdir() if "gateway" not in path.name]
    assert 1 < len(kept) < 20
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 60_000
    assert verify(tmp_path, Seal()).sound


def test_what_fails_while_old_files_are_removed_writes_no_record_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gateway.audit.log.forgettable", refuse)
    log = made(tmp_path, keep="7d")
    request(log)
    log.remove_old()
    assert len(closed(log, tmp_path, "request")) == 1
    assert "old files of the audit log can't be removed" in caplog.text


def test_the_key_is_the_configurations(tmp_path: Path):
    (tmp_path / "audit.key").write_text("sixteen bytes or more")
    file = tmp_path / "penstock.yaml"
    file.write_text(
        "apiVersion: penstock/v1\nkind: Penstock\naudit: {keyFile: audit.key, folder: log}\n"
    )
    AuditLog.of(load_config(file), "gateway").close(10.0)
    assert verify(tmp_path / "log", Seal(b"sixteen bytes or more")).sound
    assert not verify(tmp_path / "log", Seal()).sound


def test_the_documentations_example_holds(tmp_path: Path):
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "penstock.yaml"
    file.write_text(f"apiVersion: penstock/v1\nkind: Penstock\n{example}")
    written = load_config(file).audit.model_dump()
    defaults = AuditSettings().model_dump()
    differ = {name for name in defaults if written[name] != defaults[name]}
    assert differ == {"folder", "key_file", "keep_bytes"}
