"""Tables on the terminal and in Markdown, and the same figures as JSON."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Cell = str | float | int | None
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: str = ""

    def markdown(self) -> str:
        lines = [f"## {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines.append(_line(self.columns))
        lines.append("|---" * len(self.columns) + "|")
        lines += [_line([_shown(cell) for cell in row]) for row in self.rows]
        return "\n".join([*lines, ""])


@dataclass(slots=True)
class Report:
    """Grows table by table, so that an interrupted run has shown what it had."""

    title: str
    preface: str
    tables: list[Table] = field(default_factory=list)

    def add(self, table: Table) -> None:
        self.tables.append(table)
        print(table.markdown(), flush=True)

    def save(self, name: str, raw: Any) -> None:
        """Writes `results/<name>.md` and `.json`; `raw` is every single measurement."""
        RESULTS.mkdir(exist_ok=True)
        about = f"{self.preface}\n\n{machine()}\n"
        text = "\n".join([f"# {self.title}", "", about, *(t.markdown() for t in self.tables)])
        (RESULTS / f"{name}.md").write_text(text)
        (RESULTS / f"{name}.json").write_text(json.dumps(raw, indent=1) + "\n")


def machine() -> str:
    """What the figures were taken on."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}; Python {platform.python_version()}; Linux."


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return str(cell)
