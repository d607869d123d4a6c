"""A model whose every answer is unlike any other, and clients who note which ones they were given.

Each execution makes a mark by chance. Two who were given the same mark have been given the same
execution; where they are of different tenants, one was given what is the other's.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

UNARY, PARTS = "marked", "marked-parts"
LENGTH = 3  # parts of a streamed answer
_CODE = """
import random
import time
from pathlib import Path

ORDER = Path({order!r})
CHANCE = random.SystemRandom()


def fails():
    return CHANCE.random() < float(ORDER.read_text())


def answer(inputs):
    mark = inputs["number"] * 0 + CHANCE.getrandbits(62)
    return {{"number": inputs["number"], "mark": mark}}
"""
_UNARY = """

def predict(inputs):
    time.sleep(0.003)
    if fails():
        raise RuntimeError("ordered to fail")
    return answer(inputs)
"""
_PARTS = """

def predict(inputs, parameters):
    said = answer(inputs)
    for part in range({length}):
        time.sleep(0.001)
        if fails():
            raise RuntimeError("ordered to fail")
        yield said
"""
_SETTINGS = """
inputs: [{{name: number, datatype: INT64, shape: [-1, 1]}}]
outputs:
  - {{name: number, datatype: INT64, shape: [-1, 1]}}
  - {{name: mark, datatype: INT64, shape: [-1, 1]}}
{batching}decoupled: {decoupled}
warmUp: {{data: "off"}}
"""


class Marked:
    """A repository with the model as `marked` and, in parts, as `marked-parts`."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "marked"
        self._order = folder / "marked-fails"
        self.fail(0.0)
        for name, code in ((UNARY, _UNARY), (PARTS, _PARTS)):
            model = self.repository / name
            model.mkdir(parents=True)
            text = (_CODE + code).format(order=str(self._order), length=LENGTH)
            (model / "model.py").write_text(text)
            # Those that answer in parts take one request at a time anyway.
            decoupled, batching = (
                ("true", "") if name == PARTS else ("false", "batching: {max: 1}\n")
            )
            settings = _SETTINGS.format(decoupled=decoupled, batching=batching)
            (model / "model.yaml").write_text(settings)

    def fail(self, share: float) -> None:
        """So often an execution fails, or each part of one."""
        new = self._order.with_name("marked-fails.new")
        new.write_text(str(share))
        new.replace(self._order)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client was given for a number. `marks` are of all parts that came."""

    at: float
    tenant: str
    route: str
    number: int
    status: int
    numbers: tuple[int, ...]
    marks: tuple[int, ...]
    said: str  # an error in mid-stream
    cache: str

    @property
    def whole(self) -> bool:
        """An answer, complete, of one execution, to what was asked."""
        length = LENGTH if self.route.endswith("parts") else 1
        return (
            self.status == 200
            and not self.said
            and len(self.marks) == length
            and set(self.numbers) == {self.number}
            and len(set(self.marks)) == 1
        )


async def ask(
    session: aiohttp.ClientSession, url: str, route: str, number: int
) -> tuple[int, tuple[int, ...], tuple[int, ...], str, str]:
    """Status, numbers and marks of the parts, what was said of a failure, and `x-cache`."""
    if route.endswith("parts"):
        return await _stream(session, url, route, number)
    tensor = {"name": "number", "datatype": "INT64", "shape": [1, 1], "data": [number]}
    async with session.post(f"{url}/v2/models/{route}/infer", json={"inputs": [tensor]}) as reply:
        said = await reply.json()
        cache = reply.headers.get("x-cache", "")
        if reply.status != 200:
            return reply.status, (), (), said["error"], cache
        given = {each["name"]: each["data"][0] for each in said["outputs"]}
        return 200, (given["number"],), (given["mark"],), "", cache


async def _stream(
    session: aiohttp.ClientSession, url: str, route: str, number: int
) -> tuple[int, tuple[int, ...], tuple[int, ...], str, str]:
    path = f"{url}/v2/models/{route}/generate_stream"
    async with session.post(path, json={"number": [[number]]}) as reply:
        text = await reply.text()
        cache = reply.headers.get("x-cache", "")
        if reply.status != 200:
            return reply.status, (), (), text, cache
    events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
    parts = [each for each in events if "mark" in each]
    error = next((each["error"] for each in events if "error" in each), "")
    numbers, marks = (tuple(_plain(each[name]) for each in parts) for name in ("number", "mark"))
    return 200, numbers, marks, error, cache


def _plain(value: object) -> int:
    """The one number in however many lists."""
    while isinstance(value, list):
        (value,) = value
    assert isinstance(value, int)
    return value


def shared_marks(seen: Sequence[Seen]) -> int:
    """How many marks tenants were given who aren't the same."""
    tenants: dict[int, set[str]] = defaultdict(set)
    for each in seen:
        for mark in each.marks:
            tenants[mark].add(each.tenant)
    return sum(len(names) > 1 for names in tenants.values())
