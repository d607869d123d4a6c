"""Results as JSON, from the process that ran an experiment to the one that reports it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos.experiment import Result
from chaos.history import History, Request
from chaos.verdict import Figure, Step, Verdict

FILE = "result.json"


def write(result: Result, folder: Path) -> None:
    (folder / FILE).write_text(json.dumps(asdict(result), indent=1))


def read(folder: Path) -> Result:
    """Raises OSError or ValueError where there is none."""
    told: dict[str, Any] = json.loads((folder / FILE).read_text())
    told["verdicts"] = tuple(Verdict(**each) for each in told["verdicts"])
    told["figures"] = tuple(Figure(**each) for each in told["figures"])
    told["steps"] = tuple(Step(**each) for each in told["steps"])
    return Result(**told)


def histories(folder: Path) -> dict[str, History]:
    """By name, what the experiment recorded."""
    found = {}
    for file in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            row.pop("outcome")
        found[file.stem] = History([Request(**row) for row in rows])
    return found
