"""What verification says: of each chain, and of each place where it isn't what was written."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Finding:
    """`line` is from 1, 0 for the file as a whole. Notes are no faults."""

    file: str
    line: int
    message: str
    fault: bool = True

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message}"


@dataclass(slots=True)
class Checked:
    """One chain. `next` is the number that its next record would have, `digest` its last one."""

    name: str
    files: int
    state: Literal["closed", "open", "cut"] = "cut"
    records: int = 0
    next: int = 0
    digest: str = ""
    last_file: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    chains: tuple[Checked, ...]
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        return not any(each.fault for each in self.findings)


class Head(NamedTuple):
    """What is known of a chain from elsewhere: a record's digest, and who says so."""

    chain: str
    n: int
    digest: str
    source: str = "the head that was given"
