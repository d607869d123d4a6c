"""A model that occupies its device for a time that is known, and notes whom it works for.

A timed device has a capacity that doesn't depend on the machine, so that "half of what they can do"
and "ten times too much" mean the same everywhere.
"""

from pathlib import Path

from chaos.history import Execution

NAME = "timed"

_CODE = """
import os
import time
from pathlib import Path

import numpy as np

NOTES = Path({notes!r}) / str(os.getpid())
ORDERS = Path({orders!r})


def predict(inputs):
    numbers = inputs["number"]
    with NOTES.open("a") as notes:
        at = time.monotonic()
        notes.writelines(f"{{number}} {{at}}\\n" for number in numbers.reshape(-1))
    orders = ORDERS.read_text().split() if ORDERS.exists() else ()
    for order in orders:
        what, _, value = order.partition("=")
        if what == "poison" and int(value) in numbers:
            os._exit(1)
        if what == "fail" and np.random.random() < float(value):
            raise RuntimeError("ordered to fail")
    time.sleep({row} * len(numbers))
    return {{"number": numbers}}
"""
_SETTINGS = """
inputs: [{{name: number, datatype: INT64, shape: [-1, 1]}}]
outputs: [{{name: number, datatype: INT64, shape: [-1, 1]}}]
batching: {{max: {rows}}}
warmUp: {{data: "off"}}
"""


class Timed:
    """A repository with the model; `row` is the seconds that a row takes, `rows` the largest batch.

    `name` tells several apart on one site. Orders hold for all processes that have this repository.
    """

    def __init__(self, folder: Path, row: float, rows: int = 4, name: str = NAME) -> None:
        self.repository = folder
        self.row = row
        self._notes = folder.parent / f"{folder.name}-executions"
        self._notes.mkdir(parents=True)
        self._orders = folder.parent / f"{folder.name}-orders"
        model = folder / name
        model.mkdir(parents=True)
        code = _CODE.format(notes=str(self._notes), orders=str(self._orders), row=row)
        (model / "model.py").write_text(code)
        (model / "model.yaml").write_text(_SETTINGS.format(rows=rows))

    @property
    def capacity(self) -> float:
        """Requests of one row a second that one backend answers."""
        return 1 / self.row

    def order(self, *orders: str) -> None:
        """`fail=0.3` for a share of the batches, `poison=NUMBER` ends whoever executes it."""
        new = self._orders.with_suffix(".new")
        new.write_text(" ".join(orders))
        new.replace(self._orders)

    def executions(self, began: float) -> list[Execution]:
        """What all processes noted, in time's order; `began` is the experiment's beginning."""
        found = [
            Execution(int(number), file.name, float(at) - began)
            for file in self._notes.iterdir()
            for number, at in (line.split() for line in file.read_text().splitlines())
        ]
        return sorted(found, key=lambda each: each.at)
