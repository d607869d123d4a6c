"""What verification finds: whatever was done to the files, and where."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.audit.files import end_of, segments
from gateway.audit.findings import Head, Report
from gateway.audit.seal import Seal
from gateway.audit.verify import verify
from tests.gateway.audit.written_log import KEYED, Wall, chain, files, lines, log, rewrite, write


def faults(folder: Path, seal: Seal = KEYED) -> str:
    """All that is found, without the chain's name."""
    report = verify(folder, seal)
    told = "\n".join(str(each) for each in report.findings if each.fault)
    assert bool(told) != report.sound
    return re.sub(r"[0-9]{8}T[0-9.]+Z-[a-z0-9-]+-[0-9a-f]{8}", "C", told)


def notes(report: Report) -> list[str]:
    return [each.message for each in report.findings if not each.fault]


def test_what_was_written_holds(tmp_path: Path):
    report = verify(log(tmp_path), KEYED)
    (found,) = report.chains
    assert report.sound
    assert not report.findings
    assert found.state == "closed"
    assert found.files == len(files(tmp_path)) > 2
    assert found.records == len(lines(tmp_path))


def test_a_log_without_a_key_holds_as_well(tmp_path: Path):
    written = chain(tmp_path, Wall(), seal=Seal())
    write(written, 5)
    written.close()
    assert verify(tmp_path, Seal()).sound


def test_a_bit_that_changes_anywhere_is_found(tmp_path: Path):
    log(tmp_path, records=5)
    rng = random.Random(1)
    for path in files(tmp_path):
        content = path.read_bytes()
        for place in range(0, len(content), 3):
            changed = bytearray(content)
            changed[place] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            assert not verify(tmp_path, KEYED).sound, f"byte {place} of {path.name}"
        path.write_bytes(content)
    assert verify(tmp_path, KEYED).sound


def test_a_changed_record_is_named_once(tmp_path: Path):
    log(tmp_path)
    path, index, _ = next(each for each in lines(tmp_path) if b'"i":6' in each[2])
    path.write_bytes(path.read_bytes().replace(b'"i":6', b'"i":7'))
    number = next(i for i, (p, x, _) in enumerate(lines(tmp_path)) if (p, x) == (path, index))
    file = path.name.rpartition("-")[2].partition(".")[2]
    assert faults(tmp_path) == f"C.{file}:{index + 1}: record {number} is not what was written"


@pytest.mark.parametrize("count", [1, 2])
def test_removed_records_are_counted(tmp_path: Path, count: int):
    log(tmp_path)
    path = files(tmp_path)[1]
    content = path.read_bytes().splitlines(keepends=True)
    rewrite(path, content[:1] + content[1 + count :])
    first = int(re.findall(rb'"n":([0-9]+)', content[1])[0])
    gone = f"record {first} is" if count == 1 else f"records {first} to {first + 1} are"
    assert f"{gone} missing before record {first + count}" in faults(tmp_path)


def test_records_that_changed_places_are_told(tmp_path: Path):
    log(tmp_path)
    path = files(tmp_path)[1]
    content = path.read_bytes().splitlines(keepends=True)
    content[1], content[2] = content[2], content[1]
    rewrite(path, content)
    assert "stands where record" in faults(tmp_path)


def test_a_record_put_in_is_told(tmp_path: Path):
    log(tmp_path)
    path = files(tmp_path)[0]
    content = path.read_bytes().splitlines(keepends=True)
    rewrite(path, [*content[:2], content[1], *content[2:]])
    assert "record 1 stands where record 2 belongs" in faults(tmp_path)


def test_records_rewritten_by_somebody_without_the_key_do_not_hold(tmp_path: Path):
    written = chain(tmp_path, Wall(), seal=Seal(b"a key of their own choice"))
    write(written, 5)
    written.close()
    assert "is sealed with the key" in faults(tmp_path)
    assert "is sealed with the key" in faults(tmp_path, Seal())


def test_rewritten_without_a_key_it_does_not_hold_either(tmp_path: Path):
    written = chain(tmp_path, Wall(), seal=Seal())
    write(written, 5)
    written.close()
    assert "is sealed with no key, and verified with the key" in faults(tmp_path)


def test_a_file_that_is_gone_is_named(tmp_path: Path):
    log(tmp_path)
    files(tmp_path)[1].unlink()
    assert "the file before, number 1, is missing" in faults(tmp_path)


def test_a_first_file_that_is_gone_is_named(tmp_path: Path):
    log(tmp_path)
    files(tmp_path)[0].unlink()
    assert "the files before it, up to C.000000.jsonl, are missing" in faults(tmp_path)


def test_a_renamed_file_is_told(tmp_path: Path):
    log(tmp_path)
    last = files(tmp_path)[-1]
    last.rename(last.with_name(last.name.replace("worker-0", "worker-1")))
    assert "the file was renamed" in faults(tmp_path)


def test_a_missing_closing_record_is_told(tmp_path: Path):
    log(tmp_path)
    path = files(tmp_path)[-1]
    content = path.read_bytes().splitlines(keepends=True)
    rewrite(path, content[:-1])
    assert "without being closed: its process was killed, or the end is missing" in faults(tmp_path)


def remove_last_file(paths: list[Path]) -> None:
    paths[-1].unlink()


def remove_last_record(paths: list[Path]) -> None:
    rewrite(paths[-1], paths[-1].read_bytes().splitlines(keepends=True)[:-1])


def remove_last_byte(paths: list[Path]) -> None:
    paths[-1].write_bytes(paths[-1].read_bytes()[:-1])


def empty_last_file(paths: list[Path]) -> None:
    paths[-1].write_bytes(b"")


@pytest.mark.parametrize(
    "cut", [remove_last_file, remove_last_record, remove_last_byte, empty_last_file]
)
def test_an_end_that_the_next_start_has_seen_cannot_be_cut_off(
    tmp_path: Path, cut: Callable[[list[Path]], None]
):
    wall = Wall()
    first = files(log(tmp_path, wall=wall))
    following = chain(tmp_path, wall)
    following.open()
    following.close()
    assert verify(tmp_path, KEYED).sound
    cut(first)
    assert "and the chain C knows record" in faults(tmp_path)


def test_a_chain_that_another_follows_cannot_be_taken_away(tmp_path: Path):
    wall = Wall()
    log(tmp_path, wall=wall)
    gone = files(tmp_path)
    log(tmp_path, wall=wall)
    for path in gone:
        path.unlink()
    assert "the chain is missing, which the chain C knows" in faults(tmp_path)


def test_heads_from_elsewhere_find_what_the_files_cannot(tmp_path: Path):
    written = chain(tmp_path, Wall())
    write(written, 5)
    head = Head(written.name, end_of(written.path).n, end_of(written.path).digest)
    write(written, 3)
    written.close()
    assert verify(tmp_path, KEYED, [head]).sound
    other = Head(written.name, head.n, "0" * 64)
    assert "is another than the head that was given says" in str(
        verify(tmp_path, KEYED, [other]).findings[0]
    )
    assert not verify(tmp_path, KEYED, [head._replace(n=10_000)]).sound
    assert not verify(tmp_path, KEYED, [head._replace(chain="unknown")]).sound


def test_each_of_several_heads_is_held_against_the_log(tmp_path: Path):
    wall = Wall()
    first = chain(tmp_path, wall)
    write(first, 3)
    first.close()
    following = chain(tmp_path, wall)
    following.open()
    following.close()
    last = end_of(first.path)
    assert verify(tmp_path, KEYED, [Head(first.name, last.n, last.digest)]).sound
    assert not verify(tmp_path, KEYED, [Head(first.name, last.n, "0" * 64)]).sound


def test_a_writer_that_goes_on_to_the_next_file_meanwhile_is_not_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    written = chain(tmp_path, Wall(), segment_bytes=1)
    written.append([{"what": "request"}])
    seen = segments(tmp_path)
    written.append([{"what": "request"}])
    monkeypatch.setattr("gateway.audit.verify.segments", lambda folder: seen)
    report = verify(tmp_path, KEYED)
    assert report.sound, report.findings
    assert report.chains[0].state == "open"
    written.close()


def test_a_chain_that_is_being_written_is_open_and_holds(tmp_path: Path):
    written = chain(tmp_path, Wall())
    write(written, 5)
    report = verify(tmp_path, KEYED)
    assert report.sound
    assert report.chains[0].state == "open"
    with written.path.open("ab") as file:  # as if it was being written just now
        file.write(b'{"n":7,"at"')
    report = verify(tmp_path, KEYED)
    assert report.sound
    assert notes(report) == ["11 bytes of a record that is being written"]
    written.close()


def test_of_a_file_that_is_full_of_faults_only_the_first_are_told(tmp_path: Path):
    written = chain(tmp_path, Wall(), segment_bytes=1e9)
    write(written, 60)
    written.close()
    written.path.write_bytes(written.path.read_bytes().replace(b"request", b"quest"))
    told = faults(tmp_path).splitlines()
    assert len(told) == 21
    assert told[-1].endswith("and more, from here on")


def test_an_empty_folder_has_no_chains(tmp_path: Path):
    assert verify(tmp_path, KEYED).chains == ()
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "absent", KEYED)
