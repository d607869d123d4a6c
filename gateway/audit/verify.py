"""Reads a log as it lies on the disk and says where it isn't what was written.

Each line is checked against its digest, so what was changed is found even in the last one; numbers
and digests tell what was taken out or moved; and what is missing at a chain's end is found by its
closing record, or by the chain that the next process began. Only who cuts off the newest chain of a
process that was killed, before the next start, leaves nothing in the files: heads do (`Chain` tells
them to the process's log).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.audit.files import is_live, segment_path, segments
from gateway.audit.findings import Checked, Finding, Head, Report
from gateway.audit.links import LONGEST, followed, tells_ends
from gateway.audit.seal import START, Line, Seal, take_apart

_SHOWN = 20  # findings of one file, after which only the first of them would tell more


@dataclass(slots=True)
class _Log:
    """What is found out while reading, and what some records say of others."""

    seal: Seal
    heads: dict[str, list[Head]]  # by chain
    findings: list[Finding] = field(default_factory=list)
    forgotten: dict[str, str] = field(default_factory=dict)  # by file: its last digest
    previous: dict[str, str] = field(default_factory=dict)  # by first file there is: what it says


def verify(folder: Path, seal: Seal, heads: Iterable[Head] = ()) -> Report:
    """All chains of a folder, each of which must have the `heads` that are its own.

    Raises OSError where the folder or a file can't be read.
    """
    found = segments(folder)
    by_chain: dict[str, list[Head]] = {}
    for head in (*heads, *_links(found)):
        by_chain.setdefault(head.chain, []).append(head)
    log = _Log(seal, by_chain)
    chains = tuple(_Reader(log, name, files).read() for name, files in found.items())
    log.findings += _beginnings(log, found)
    log.findings += _ends(log, chains)
    log.findings += _missing(log, found)
    return Report(chains, tuple(sorted(log.findings, key=lambda each: (each.file, each.line))))


class _Reader:
    """One chain, file by file."""

    def __init__(self, log: _Log, name: str, files: Mapping[int, Path]) -> None:
        self._log = log
        self._files = files
        self._heads: dict[int, list[Head]] = {}
        for head in log.heads.get(name, ()):
            self._heads.setdefault(head.n, []).append(head)
        self._checked = Checked(name, len(files))
        self._before = START
        self._known = False  # whether `_before` and `next` are those of a record that was read
        self._told = 0

    def read(self) -> Checked:
        checked = self._checked
        for number, path in sorted(self._files.items()):
            checked.last_file = path.name
            self._told = 0
            live = is_live(path)
            last = number == max(self._files)
            for index, text in enumerate(_lines(path), 1):
                if not text.endswith(b"\n"):
                    self._unfinished(path, index, len(text), live=live, last=last)
                elif (line := take_apart(text)) is None:
                    self._tell(path, index, "is no record")
                elif index == 1 and not self._header(path, number, line):
                    return checked
                else:
                    self._record(path, index, line)
            if not path.stat().st_size:
                killed = last and checked.state == "cut"
                self._tell(path, 0, "is empty", fault=not killed)
            # The writer may have gone on to the next file since the folder was read.
            going_on = live or segment_path(path.parent, checked.name, number + 1).exists()
            if last and checked.state == "cut" and going_on:
                checked.state = "open"
        return checked

    def _header(self, path: Path, number: int, line: Line) -> bool:
        """Whether the file can be read on by what its first record says."""
        record, seal = line.record, self._log.seal
        sealed, mark = record.get("seal"), record.get("key")
        if (sealed, mark) != (seal.name, seal.mark):
            with_key = f"the key {mark}" if mark else "no key"
            ours = f"the key {seal.mark}" if seal.mark else "none"
            self._tell(path, 1, f"is sealed with {with_key}, and verified with {ours}")
            return False
        if (record.get("chain"), record.get("segment")) != (self._checked.name, number):
            said = f"{record.get('chain')}.{record.get('segment')}"
            self._tell(path, 1, f"says that it is {said}: the file was renamed")
        if not self._known:
            # Whether that may be so is asked when all chains have been read.
            previous = str(record.get("previous"))
            self._log.previous[path.name] = previous
            self._before, self._checked.next = previous.encode(errors="replace"), record["n"]
        elif number - 1 not in self._files:
            self._tell(path, 1, f"the file before, number {number - 1}, is missing")
        if not number and not tells_ends(record):
            self._tell(path, 1, "doesn't say in a known form which chains end before it")
        return True

    def _record(self, path: Path, index: int, line: Line) -> None:
        checked, number = self._checked, line.record["n"]
        right = self._log.seal.digest(self._before, line.body) == line.digest
        if checked.state == "closed":
            self._tell(path, index, "stands behind the record that closed the chain")
        elif number != checked.next:
            self._misplaced(path, index, number)
        elif not right:
            self._tell(path, index, f"record {number} is not what was written")
        elif line.record.get("what") == "end":
            checked.state = "closed"
        if right and line.record.get("what") == "forget":
            self._forget(path, index, line.record.get("segments"))
        # Each fault is told once: what follows is judged by what this line says of itself.
        self._before, self._known = line.digest, True
        checked.next, checked.digest = number + 1, line.digest.decode()
        checked.records += 1
        for head in self._heads.get(number, ()):
            if head.digest != checked.digest:
                self._tell(path, index, f"record {number} is another than {head.source} says")

    def _misplaced(self, path: Path, index: int, number: int) -> None:
        expected = self._checked.next
        if number > expected:
            last = number - 1
            gone = (
                f"record {expected} is" if last == expected else f"records {expected} to {last} are"
            )
            self._tell(path, index, f"{gone} missing before record {number}")
        else:
            self._tell(path, index, f"record {number} stands where record {expected} belongs")

    def _forget(self, path: Path, index: int, gone: object) -> None:
        """What a record that holds says of files that were removed."""
        for each in gone if isinstance(gone, list) else [gone]:
            match each:
                case {"file": str(file), "digest": str(digest)}:
                    self._log.forgotten[file] = digest
                case _:
                    self._tell(path, index, "doesn't say in a known form which files were removed")

    def _unfinished(self, path: Path, index: int, size: int, *, live: bool, last: bool) -> None:
        if last and self._checked.state == "cut":
            what = "is being written" if live else "was never finished: its process was killed"
            self._tell(path, index, f"{size} bytes of a record that {what}", fault=False)
        else:
            self._tell(path, index, f"{size} bytes that are no whole record")

    def _tell(self, path: Path, index: int, message: str, *, fault: bool = True) -> None:
        self._told += 1
        if self._told <= _SHOWN:
            self._log.findings.append(Finding(path.name, index, message, fault))
        elif self._told == _SHOWN + 1:
            self._log.findings.append(Finding(path.name, index, "and more, from here on"))


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while text := file.readline(LONGEST):
            yield text


def _links(found: Mapping[str, Mapping[int, Path]]) -> Iterator[Head]:
    """What chains say of those that were there when they began."""
    for name, files in found.items():
        for end in followed(files):
            yield Head(end["chain"], end["n"], end["digest"], f"the chain {name}")


def _beginnings(log: _Log, found: Mapping[str, Mapping[int, Path]]) -> Iterator[Finding]:
    """Chains whose first files are gone, unless a record says that they were removed."""
    for name, files in found.items():
        first = min(files)
        path = files[first]
        said = log.previous.get(path.name, "")
        if not first:
            if said and said != START.decode():
                yield Finding(
                    path.name, 1, "the chain's first record says that there is one before"
                )
            continue
        gone = segment_path(path.parent, name, first - 1).name
        if log.forgotten.get(gone) != said:
            yield Finding(path.name, 0, f"the files before it, up to {gone}, are missing")


def _ends(log: _Log, chains: Iterable[Checked]) -> Iterator[Finding]:
    """Chains that end before they should."""
    for chain in chains:
        last = chain.next - 1
        heads = log.heads.get(chain.name, ())
        beyond = [head for head in heads if head.n > last]
        for head in beyond:
            message = f"ends after record {last}, and {head.source} knows record {head.n}"
            yield Finding(chain.last_file, 0, message)
        if chain.state != "cut" or beyond:
            continue
        known = any(head.n == last for head in heads)
        why = "its process was killed" if known else "its process was killed, or the end is missing"
        yield Finding(
            chain.last_file, 0, f"ends after record {last} without being closed: {why}", not known
        )


def _missing(log: _Log, found: Mapping[str, Mapping[int, Path]]) -> Iterator[Finding]:
    """Chains of which only others know."""
    gone = {name.partition(".jsonl")[0].rpartition(".")[0] for name in log.forgotten}
    for name, heads in log.heads.items():
        if name not in found and name not in gone:
            yield Finding(name, 0, f"the chain is missing, which {heads[0].source} knows")
