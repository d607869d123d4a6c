"""Tenants that share a model which is asked for too much: who gets what, and how soon.

A backend of known capacity serves a model that takes one request at a time, and one that takes
eight. Tenants ask at planned times (open loop, Poisson), from processes of their own:

- *Neighbours*: three tenants ask for 60 % of a quarter of the capacity each; in every other block a
  fourth asks for fifty times its quarter. What counts is the p99 of the three with it, by that
  without it, in blocks that take turns; the blocks without come twice, which gives the A/A ratio.
- *Overload*: one tenant asks for ten times the capacity, each request with a deadline.
- *Weights*: two tenants ask for three times the capacity each, one of weight 4, one of 1.

    python -m benchmarks fairness
"""

import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson
import yaml

from benchmarks import credentials, mesh
from benchmarks.load import Call, ask, wrk
from benchmarks.open_loop import Answer, Running, Stream
from benchmarks.processes import children
from benchmarks.report import Report, Table

ROUNDS = 10
SECONDS = 20.0  # a block
START = 3.0  # seconds until the load generators are ready
QUIET = 1.0  # seconds between blocks
LEARNING = 4.0  # seconds at the begin of a block that don't count
NEIGHBOURS = 3
LOAD = 0.6  # of its share that a neighbour asks for
NOISY = 50.0  # times its share
OVERLOAD = 10.0  # times the capacity
DEADLINE = 2.0  # seconds
GOLD = 4.0

# Seconds of a batch, and rows of it.
MODELS = {"serial": (0.04, 1), "batched": (0.16, 8)}
_MODEL = """\
import time


def predict(inputs):
    time.sleep({seconds})
    return {{"y": inputs["x"]}}
"""
_BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}


def run(folder: Path, *, quick: bool = False) -> None:
    """Measures, prints and saves the tables."""
    rounds = 2 if quick else ROUNDS
    report = Report("Fairness", str(__doc__).partition("\n\n    python")[0])
    raw: list[dict[str, Any]] = []
    for workers in (1, 2):
        with children() as started:
            place = folder / f"fairness-{workers}"
            place.mkdir(parents=True, exist_ok=True)
            weights = {"fairness": {"weights": {"gold": GOLD}}}
            gateway = mesh.gateway(place, "gateway", workers=workers, settings=weights)
            started.append(gateway.child)
            backend, _ = mesh.backend(place, "timed", "python", _repository(place), [gateway])
            started.append(backend)
            for model in MODELS:
                gateway.wait_for(model, [backend])
            time.sleep(QUIET)
            rows = {"neighbours": [], "overload": [], "weights": []}  # type: dict[str, list[Any]]
            for model in MODELS:
                bench = _Bench(gateway.http, model, raw, workers)
                rows["neighbours"] += bench.neighbours(rounds)
                rows["overload"].append(bench.overload(rounds))
                rows["weights"].append(bench.weights(rounds))
        named = "one worker" if workers == 1 else f"{workers} workers"
        for title, columns in _COLUMNS.items():
            report.add(Table(f"{title.capitalize()}, {named}", columns, rows[title]))
    report.save("fairness", raw)


_COLUMNS = {
    "neighbours": ("model", "block", "p50 ms", "p99 ms", "p99 by quiet", "refused", "requests"),
    "overload": (
        "model",
        "capacity /s",
        "offered /s",
        "goodput by capacity",
        "admitted p99 ms",
        "late",
        "refusals p99 ms",
        "in the gateway",
        "without Retry-After",
    ),
    "weights": ("model", "gold /s", "other /s", "ratio"),
}


class _Bench:
    """The blocks of one model behind one gateway."""

    def __init__(self, port: int, model: str, raw: list[dict[str, Any]], workers: int) -> None:
        self._port = port
        self._model = model
        self._raw = raw
        self._workers = workers
        self._seed = 0
        self._call = Call(port, self._path, self._headers("benchmark"), (orjson.dumps(_BODY),))
        _wait(self._call)
        self.capacity = self._measured()

    def _measured(self) -> float:
        """Requests a second with always a few of them waiting."""
        return wrk(self._call, 4 * MODELS[self._model][1], 3.0).rate

    @property
    def _path(self) -> str:
        return f"/v2/models/{self._model}/infer"

    def neighbours(self, rounds: int) -> list[tuple[Any, ...]]:
        share = self.capacity / (NEIGHBOURS + 1)
        blocks: dict[str, list[list[Answer]]] = {"quiet": [], "quiet again": [], "noisy": []}
        order = random.Random(1)
        for _ in range(rounds):
            for kind in order.sample(list(blocks), len(blocks)):
                quiet = [(f"neighbour {n}", LOAD * share) for n in range(NEIGHBOURS)]
                noisy = [("noisy", NOISY * share)] if kind == "noisy" else []
                found, _ = self._block(kind, quiet, noisy)
                blocks[kind].append(found)
        rows = []
        for kind, taken in blocks.items():
            answers = [answer for block in taken for answer in block]
            ratios = [
                _p99(one) / _p99(other) for one, other in zip(taken, blocks["quiet"], strict=True)
            ]
            refused = sum(answer.status != 200 for answer in answers)
            p50 = median(answer.seconds for answer in answers) * 1e3
            p99 = _p99(answers) * 1e3
            rows.append((self._model, kind, p50, p99, median(ratios), refused, len(answers)))
        return rows

    def overload(self, rounds: int) -> tuple[Any, ...]:
        answers: list[Answer] = []
        goodput = []
        for _ in range(rounds):
            capacity = self._measured()
            offered = [("benchmark", OVERLOAD * self.capacity)]
            found, _ = self._block("overload", offered, [], DEADLINE)
            good = sum(answer.status == 200 for answer in found)
            goodput.append(good / (SECONDS - LEARNING) / capacity)
            answers += found
        done = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status in (429, 503)]
        return (
            self._model,
            self.capacity,
            OVERLOAD * self.capacity,
            median(goodput),
            _p99(done) * 1e3,
            sum(answer.status == 504 for answer in answers),
            _p99(refused) * 1e3,
            float(np.quantile([answer.server for answer in refused], 0.99)) * 1e3,
            sum(not answer.retry_after for answer in refused),
        )

    def weights(self, rounds: int) -> tuple[Any, ...]:
        rates: dict[str, list[float]] = {"gold": [], "other": []}
        for _ in range(rounds):
            both = [(tenant, 3.0 * self.capacity) for tenant in rates]
            found, _ = self._block("weights", both, [], DEADLINE)
            for tenant, taken in rates.items():
                good = sum(each.stream == tenant and each.status == 200 for each in found)
                taken.append(good / (SECONDS - LEARNING))
        gold, other = median(rates["gold"]), median(rates["other"])
        return self._model, gold, other, gold / other

    def _block(
        self,
        kind: str,
        watched: Sequence[tuple[str, float]],
        others: Sequence[tuple[str, float]],
        deadline: float | None = None,
    ) -> tuple[list[Answer], list[Answer]]:
        """What came of those watched, and of the others, after the time for learning."""
        at = time.monotonic() + START
        running = [
            Running([self._stream(*each, deadline) for each in streams], SECONDS, at)
            for streams in (watched, others)
            if streams
        ]
        found = [[a for a in each.result() if a.planned >= LEARNING] for each in running]
        time.sleep(QUIET)
        for answers in found:
            about = {"workers": self._workers, "model": self._model, "block": kind}
            self._raw.append(about | _summary(answers))
        return found[0], found[1] if others else []

    def _stream(self, tenant: str, rate: float, deadline: float | None) -> Stream:
        self._seed += 1
        body: dict[str, Any] = dict(_BODY)
        if deadline is not None:
            body["parameters"] = {"timeout": int(deadline * 1e6)}
        text = orjson.dumps(body).decode()
        return Stream(tenant, self._port, self._path, self._headers(tenant), text, rate, self._seed)

    def _headers(self, tenant: str) -> dict[str, str]:
        token = credentials.token("infer:*", tenant=tenant)
        return {"content-type": "application/json", "authorization": f"Bearer {token}"}


def _wait(call: Call) -> None:
    """Until every worker serves: connections go to any of them."""
    until, served = time.monotonic() + 30.0, 0
    while served < 20:
        try:
            ask(call)
            served += 1
        except RuntimeError:
            served = 0
            time.sleep(0.2)
        if time.monotonic() > until:
            raise TimeoutError(f"{call.path} is not served")


def _p99(answers: Sequence[Answer]) -> float:
    return float(np.quantile([answer.seconds for answer in answers] or [np.nan], 0.99))


def _summary(answers: Sequence[Answer]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status in sorted({answer.status for answer in answers}):
        these = [answer for answer in answers if answer.status == status]
        columns = {k: [asdict(a)[k] for a in these] for k in ("seconds", "late", "server")}
        found[str(status)] = {"requests": len(these)} | {
            name: [float(q) for q in np.quantile(values, (0.5, 0.9, 0.99, 1.0))]
            for name, values in columns.items()
        }
    return found


def _repository(folder: Path) -> Path:
    root = folder / "timed"
    for name, (seconds, rows) in MODELS.items():
        model = root / name
        model.mkdir(parents=True, exist_ok=True)
        (model / "model.py").write_text(_MODEL.format(seconds=seconds))
        tensors = {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
            "batching": {"max": rows},
            "warmUp": {"data": "off"},
        }
        (model / "model.yaml").write_text(yaml.safe_dump(tensors, sort_keys=False))
    return root
