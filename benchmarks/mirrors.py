"""What shadow traffic costs those who wait: primaries beside a candidate that hangs, is slow, dead.

One gateway, one backend for the primaries and one for candidates. Five routes lead to the same
model; two of them mirror nothing (the second is the A/A comparison), the others send a fifth of
their requests to a candidate as well. A paced client asks one route after the other, in blocks
whose order changes from round to round; what counts is the median over the rounds of the p99 of a
block divided by that of the plain route's block in the same round.

    python -m benchmarks mirrors
"""

import random
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import credentials, load, mesh
from benchmarks.load import Call
from benchmarks.processes import children
from benchmarks.report import Report, Table
from benchmarks.works import VECTOR, repository

ROUNDS = 12
REQUESTS = 600  # a block
RATE = 200.0  # a second
PERCENT = 20

PLAIN, AGAIN = "plain", "plain-again"
CANDIDATES = {"hanging": 'model: hanging, version: "1"', "slow": 'model: slow, version: "1"'}
CANDIDATES["dead"] = 'model: nobody, version: "1"'
_WAITS = """\
import time


def predict(inputs):
    time.sleep({seconds})
    return {{"y": inputs["x"]}}
"""
_TENSORS = """\
inputs: [{name: x, datatype: FP32, shape: [-1, 64]}]
outputs: [{name: y, datatype: FP32, shape: [-1, 64]}]
warmUp: {data: "off"}
"""


def run(folder: Path, *, quick: bool = False) -> None:
    """Measures, prints and saves the table."""
    rounds = 2 if quick else ROUNDS
    with children() as started:
        place = folder / "mirrors"
        routes = {f"{name}.yaml": _route(name) for name in (PLAIN, AGAIN, *CANDIDATES)}
        gateway = mesh.gateway(place, "gateway", routes=routes)
        started.append(gateway.child)
        primary, _ = mesh.backend(place, "primary", "python", repository(place), [gateway])
        started.append(primary)
        other, _ = mesh.backend(place, "candidates", "python", _candidates(place), [gateway])
        started.append(other)
        gateway.wait_for(VECTOR.model, [primary])
        gateway.wait_for("slow", [other])
        names = [PLAIN, AGAIN, *CANDIDATES]
        blocks: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for name in names:
            _block(gateway.http, name)  # warm
        memory = [_resident(gateway.child.process.pid)]
        order = random.Random(1)
        for _ in range(rounds):
            order.shuffle(names)
            for name in names:
                blocks[name].append(_block(gateway.http, name))
            memory.append(_resident(gateway.child.process.pid))
    report = Report("Mirrors", str(__doc__).partition("\n\n")[0])
    report.add(_table(blocks))
    text = f"resident MiB of the gateway before and after: {memory[0]:.0f}, {memory[-1]:.0f}"
    report.add(Table("Memory", ("",), [(text,)]))
    report.save("mirrors", {"blocks": blocks, "memory": memory})


def _table(blocks: dict[str, list[tuple[float, float]]]) -> Table:
    rows = []
    for name, found in blocks.items():
        pairs = list(zip(found, blocks[PLAIN], strict=True))
        rows.append(
            (
                name,
                median(p50 for p50, _ in found) * 1e3,
                median(p99 for _, p99 in found) * 1e3,
                median(p50 / plain for (p50, _), (plain, _) in pairs),
                median(p99 / plain for (_, p99), (_, plain) in pairs),
            )
        )
    columns = ("candidate", "p50 ms", "p99 ms", "p50 by plain", "p99 by plain")
    note = f"{len(blocks[PLAIN])} rounds, {REQUESTS} requests a block at {RATE:.0f}/s, {PERCENT} %"
    return Table("Primaries", columns, rows, f"{note} mirrored; ratios are medians over rounds.")


def _block(port: int, model: str) -> tuple[float, float]:
    """p50 and p99, in seconds, of one paced block; a late request isn't made up for."""
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {credentials.token('infer:*')}",
    }
    call = Call(port, f"/v2/models/to-{model}/infer", headers, (VECTOR.rest(),))
    took = [reply.seconds for reply in load.paced(call, REQUESTS, 1 / RATE)]
    p50, p99 = np.quantile(took, (0.5, 0.99))
    time.sleep(0.1)
    return float(p50), float(p99)


def _route(name: str) -> str:
    lines = [
        "apiVersion: penstock/v1",
        "kind: Route",
        f"metadata: {{name: {name}}}",
        "spec:",
        f"  match: [{{model: to-{name}}}]",
        f"  backends: [{{name: stable, model: {VECTOR.model}}}]",
    ]
    if name in CANDIDATES:
        lines.append(f"  mirror: [{{backend: new, {CANDIDATES[name]}, percent: {PERCENT}}}]")
    return "\n".join(lines)


def _candidates(folder: Path) -> Path:
    root = folder / "candidates"
    for name, seconds in (("slow", 0.2), ("hanging", 3600.0)):
        model = root / name
        model.mkdir(parents=True, exist_ok=True)
        (model / "model.py").write_text(_WAITS.format(seconds=seconds))
        (model / "model.yaml").write_text(_TENSORS)
    return root


def _resident(pid: int) -> float:
    """MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20
