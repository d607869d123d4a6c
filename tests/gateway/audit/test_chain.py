"""A chain on the disk: files that follow each other, failures of the disk, killed writers."""

import logging
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.audit import chain as chains
from gateway.audit.files import end_of, is_live, segment_path
from gateway.audit.verify import verify
from tests.gateway.audit.written_log import KEYED, START, Wall, chain, files, lines, write

RECORD = {"at": START, "what": "request"}


def test_files_and_folder_are_the_owners_alone(tmp_path: Path):
    folder = tmp_path / "state" / "audit"
    written = chain(folder, Wall())
    written.open()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(written.path.stat().st_mode) == 0o600
    written.close()


def test_a_file_is_followed_by_another_when_it_is_large_enough(tmp_path: Path):
    written = chain(tmp_path, Wall(), segment_bytes=1000)
    for _ in range(20):
        written.append([RECORD])
    written.close()
    sizes = [path.stat().st_size for path in files(tmp_path)]
    assert len(sizes) > 2
    assert all(1000 <= size < 1200 for size in sizes[:-1])
    assert verify(tmp_path, KEYED).sound


def test_a_file_is_followed_by_another_when_it_is_old_enough(tmp_path: Path):
    wall = Wall()
    written = chain(tmp_path, wall, segment_bytes=1e9, segment_time=3600.0)
    written.append([RECORD])
    wall.now += 3600.0
    written.append([RECORD])
    written.close()
    assert len(files(tmp_path)) == 2
    assert verify(tmp_path, KEYED).sound


def test_a_failing_disk_leaves_no_half_record_and_costs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    written = chain(tmp_path, Wall(), segment_bytes=1e9)
    write(written, 4)
    real, left = os.write, [30]

    def full(file: int, data: bytes) -> int:
        """Takes some bytes, then none: as a disk does that is just running full."""
        if not left[0]:
            raise OSError(28, "No space left on device")
        taken = real(file, bytes(data[: left[0]]))
        left[0] -= taken
        return taken

    monkeypatch.setattr(chains.os, "write", full)
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            written.append([RECORD, RECORD])
    assert (written.failing, written.failures) == (True, 3)
    assert verify(tmp_path, KEYED).sound
    monkeypatch.undo()
    written.append([RECORD, RECORD])
    assert not written.failing
    written.close()
    report = verify(tmp_path, KEYED)
    assert report.sound
    assert report.chains[0].records == written.written == 1 + 4 + 2 + 1


def test_a_new_file_that_cannot_be_begun_leaves_the_old_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    written = chain(tmp_path, Wall(), segment_bytes=1)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    written.open()
    before = written.path
    monkeypatch.setattr(chains, "_sync_folder", refuse)
    with pytest.raises(OSError, match="No space left"):
        written.append([RECORD])
    assert written.path == before
    assert files(tmp_path) == [before]
    monkeypatch.undo()
    written.append([RECORD])
    written.close()
    assert verify(tmp_path, KEYED).sound


def test_an_unwritable_folder_is_tried_again(tmp_path: Path):
    folder = tmp_path / "audit"
    folder.write_text("a file where the folder should be")
    written = chain(folder, Wall())
    with pytest.raises(OSError):
        written.open()
    assert written.failing
    folder.unlink()
    written.append([RECORD])
    written.close()
    assert verify(folder, KEYED).sound


def test_a_file_removed_under_its_writer_is_noticed_and_missed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    written = chain(tmp_path, Wall(), segment_bytes=1e9)
    write(written, 4)
    written.path.unlink()
    written.append([RECORD])
    written.close()
    assert "was removed" in caplog.text
    assert "are missing" in str(verify(tmp_path, KEYED).findings[0])


def test_a_closed_chain_takes_nothing_more(tmp_path: Path):
    written = chain(tmp_path, Wall())
    written.open()
    written.close()
    written.close()
    with pytest.raises(OSError):
        written.append([RECORD])
    assert verify(tmp_path, KEYED).sound


def test_the_processs_log_is_told_the_heads(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    written = chain(tmp_path, Wall())
    written.open()
    written.close()
    last = end_of(written.path)
    assert f"audit chain {written.name}: record {last.n}, digest {last.digest}" in caplog.text


ENDLESS = """
import sys
from pathlib import Path
from tests.gateway.audit.written_log import Wall, chain
written = chain(Path(sys.argv[1]), Wall(), segment_bytes=20_000)
while True:
    written.append([{"at": 1.0, "what": "request", "i": i} for i in range(50)])
    print("written", flush=True)
"""


def test_a_writer_killed_in_the_middle_leaves_what_holds_and_the_next_start_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    writer = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for _ in range(4):
        assert writer.stdout.readline() == "written\n"
    assert any(map(is_live, files(tmp_path)))
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    last = files(tmp_path)[-1]
    with last.open("ab") as file:
        file.write(b'{"n":123456,"at":1.0,"wh')  # where a kill in mid-write would have left it
    torn = end_of(last).torn

    report = verify(tmp_path, KEYED)
    assert report.chains[0].records >= 200
    assert [each.message.partition(" of ")[0] for each in report.findings if not each.fault] == [
        f"{torn} bytes"
    ]
    assert not report.sound  # nobody says yet that this is how it ended

    following = chain(tmp_path, Wall(2e9))
    following.open()
    number = report.chains[0].next - 1
    assert f"was not closed: it ends after record {number}, with {torn} bytes" in caplog.text
    following.close()
    report = verify(tmp_path, KEYED)
    assert report.sound
    assert any("its process was killed" in each.message for each in report.findings)


@pytest.mark.parametrize("left", [0, 10], ids=["nothing", "half a record"])
@pytest.mark.parametrize("count", [0, 12], ids=["first file", "later file"])
def test_a_writer_killed_before_its_new_file_had_a_record_leaves_what_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, count: int, left: int
):
    written = chain(tmp_path, Wall())
    write(written, count)
    written.open()
    number = end_of(written.path).n
    written.close()
    if count:
        last = segment_path(tmp_path, written.name, len(files(tmp_path)))
        content = written.path.read_bytes().splitlines(keepends=True)
        written.path.write_bytes(b"".join(content[:-1]))  # as if it hadn't been closed
    else:
        last, number = written.path, -1
    last.write_bytes(b'{"n":17,"a'[:left])
    following = chain(tmp_path, Wall(2e9))
    following.open()
    following.close()
    assert f"was not closed: it ends after record {number}" in caplog.text
    report = verify(tmp_path, KEYED)
    assert report.sound, report.findings


def test_every_prefix_of_a_file_holds_up_to_its_last_whole_record(tmp_path: Path):
    written = chain(tmp_path, Wall(), segment_bytes=1e9)
    write(written, 3)
    written.close()
    content = written.path.read_bytes()
    whole = [len(b"".join(text for _, _, text in lines(tmp_path)[: i + 1])) for i in range(5)]
    for size in range(whole[0], len(content), 7):
        written.path.write_bytes(content[:size])
        report = verify(tmp_path, KEYED)
        assert report.chains[0].records == sum(size >= end for end in whole)
        assert all("killed" in each.message or not each.fault for each in report.findings), (
            report.findings
        )
