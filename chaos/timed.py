"""A model that occupies its device for a time that is known, and notes whom it works for.

A timed device has a capacity that doesn't depend on the machine, so that "half of what they can do"
and "ten times too much" mean the same everywhere.
"""

from pathlib import Path

from chaos.history import Execution
from chaos.processes import Process

NAME = "timed"

_CODE = """
import os
import signal
import time
from pathlib import Path

import numpy as np

NOTES = Path({notes!r}) / str(os.getpid())
ORDERS = (Path({orders!r}), Path(f"{orders}-{{os.getpid()}}"))
HELD = []


def given():
    for file in ORDERS:
        for order in file.read_text().split() if file.exists() else ():
            what, _, value = order.partition("=")
            yield what, value


def obey(numbers):
    with NOTES.open("a") as notes:
        at = time.monotonic()
        notes.writelines(f"{{number}} {{at}}\\n" for number in numbers.reshape(-1))
    for what, value in given():
        if what == "poison" and int(value) in numbers:
            os._exit(1)
        if what == "eat":
            HELD.append(np.ones(int(value), np.uint8))
        if what == "fail" and np.random.random() < float(value):
            raise RuntimeError("ordered to fail")


for what, value in given():
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
"""
_UNARY = """

def predict(inputs):
    numbers = inputs["number"]
    obey(numbers)
    time.sleep({batch} + {row} * len(numbers))
    return {{"number": numbers}}
"""
_IN_PARTS = """

def predict(inputs, parameters):
    obey(inputs["number"])
    for part in range({parts}):
        time.sleep({row})
        yield {{"number": inputs["number"]}}
"""
_SETTINGS = """
inputs: [{{name: number, datatype: INT64, shape: [-1, 1]}}]
outputs: [{{name: number, datatype: INT64, shape: [-1, 1]}}]
batching: {{max: {rows}}}
decoupled: {decoupled}
warmUp: {{data: "off"}}
"""


class Timed:
    """A repository with the model; `row` is the seconds that a row takes, `rows` the largest batch.

    Each batch takes `batch` seconds more, as on a real device, where large ones are cheaper.
    `name` tells several apart on one site. With `parts` it answers in so many, a `row` apart.
    """

    def __init__(
        self,
        folder: Path,
        row: float,
        rows: int = 4,
        name: str = NAME,
        parts: int = 0,
        batch: float = 0.0,
    ) -> None:
        self.repository = folder
        self.row, self.rows, self.batch = row, max(1, rows), batch
        self._notes = folder.parent / f"{folder.name}-executions"
        self._notes.mkdir(parents=True)
        self._orders = folder.parent / f"{folder.name}-orders"
        model = folder / name
        model.mkdir(parents=True)
        code = _CODE + (_IN_PARTS if parts else _UNARY)
        code = code.format(
            notes=str(self._notes), orders=str(self._orders), row=row, parts=parts, batch=batch
        )
        (model / "model.py").write_text(code)
        decoupled = "true" if parts else "false"
        most = 0 if parts else rows  # what answers in parts has one request at a time
        (model / "model.yaml").write_text(_SETTINGS.format(rows=most, decoupled=decoupled))

    @property
    def capacity(self) -> float:
        """Requests of one row a second that one backend answers."""
        return self.rows / (self.batch + self.rows * self.row)

    def order(self, *orders: str, only: Process | None = None) -> None:
        """Replaces what was ordered, of all processes that have this repository or of one.

        `fail=0.3` for a share of the batches, `poison=NUMBER` ends whoever executes it, `die` kills
        whoever loads the model, `eat=BYTES` keeps so many more with each batch.
        """
        file = self._orders
        if only is not None:
            file = file.with_name(f"{file.name}-{only.pid}")
        new = file.with_name(f"{file.name}.new")
        new.write_text(" ".join(orders))
        new.replace(file)

    def executions(self, began: float) -> list[Execution]:
        """What all processes noted, in time's order; `began` is the experiment's beginning."""
        found = [
            Execution(int(number), file.name, float(at) - began)
            for file in self._notes.iterdir()
            for number, at in (line.split() for line in file.read_text().splitlines())
        ]
        return sorted(found, key=lambda each: each.at)
