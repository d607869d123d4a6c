"""What batching gains with a real model: all-MiniLM-L6-v2, torch and ONNX, sentences of any length.

Three tables for each runtime. Saturation: the device loop's throughput against the best that the
runtime gives when it is called by hand in a loop, same length. Open loop: latency at fixed rates of
seeded Poisson arrivals, with lengths padded to buckets, to one size, or not at all. Serving: the
whole way through the gateway, against the same model in a plain web wrapper that runs one request
at a time, on the same cores.

    python -m benchmarks batching [--device cuda:0]
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backends import runtimes
from backends.models.config import ModelConfig
from backends.runtime import Arrays
from benchmarks import credentials, load, mesh, minilm, sentences
from benchmarks.device import Device, serving
from benchmarks.load import Call
from benchmarks.processes import Child, children, free_ports, wait_for_port
from benchmarks.report import Report, Table

RUNTIMES = ("torch", "onnx")
LENGTH = 32  # tokens, where all requests are of one length
SHARES = (0.25, 0.5, 0.75)  # of the throughput that mixed lengths reach
CALLERS = 32
PADDINGS = {"buckets": minilm.BUCKETS, "one size": (minilm.LONGEST,), "none": ()}
PAIRS = 6


@dataclass(frozen=True, slots=True)
class Options:
    device: str = "cpu"
    seconds: float = 8.0

    @property
    def threads(self) -> int:
        return len(os.sched_getaffinity(0))

    @property
    def max_rows(self) -> int:
        """A CPU's throughput hardly grows beyond a few rows, its batches' duration does."""
        return 8 if self.device == "cpu" else 64


def run(folder: Path, device: str, *, quick: bool = False) -> None:
    """Measures everything, prints tables as they come, and saves them."""
    options = Options(device, 2.0 if quick else 8.0)
    report = Report(
        "Batching",
        f"all-MiniLM-L6-v2 on {device}, {options.threads} threads, at most {options.max_rows} rows "
        f"a batch; load average before the start {os.getloadavg()[0]:.1f}.",
    )
    measured: dict[str, Any] = {}
    for runtime in RUNTIMES:
        found: dict[str, Any] = {}
        measured[runtime] = found
        raw = Raw(folder, runtime, options)
        found["saturation"] = saturation(report, folder, runtime, options, raw)
        found["open loop"] = open_loop(report, folder, runtime, options, raw)
        raw.close()
        found["serving"] = serve(report, folder, runtime, options)
    report.save("batching" if device == "cpu" else "batching-gpu", measured)


class Raw:
    """The runtime called by hand, without anything around it."""

    def __init__(self, folder: Path, runtime: str, options: Options) -> None:
        exported = minilm.artifact(folder, runtime)
        module = runtimes.load(runtime)
        self._model = module.create(exported, ModelConfig(), options.device, options.threads)
        self._model.load()
        sizes = [1 << power for power in range(options.max_rows.bit_length())]
        taken: dict[int, list[float]] = {rows: [] for rows in sizes}
        for _ in range(3):
            for rows in sizes:
                taken[rows].append(self.rate(rows, options.seconds / 16))
        rates = {rows: statistics.median(each) for rows, each in taken.items()}
        self.best_rows = max(rates, key=lambda rows: rates[rows])
        self.best_rate = rates[self.best_rows]
        self.full_batch = options.max_rows / rates[options.max_rows]  # seconds

    def rate(self, rows: int, seconds: float) -> float:
        """Sentences of LENGTH tokens a second, so many at a time."""
        inputs = sentences.tokens(LENGTH, rows)
        self._model.execute(self._model.stage(inputs))
        began, batches = time.perf_counter(), 0
        while time.perf_counter() < began + seconds:
            self._model.execute(self._model.stage(inputs))
            batches += 1
        return rows * batches / (time.perf_counter() - began)

    def close(self) -> None:
        self._model.unload()


def saturation(
    report: Report, folder: Path, runtime: str, options: Options, raw: Raw
) -> dict[str, list[float]]:
    """Raw and through the device loop in turns, since other processes come and go."""
    repository = minilm.repository(folder, runtime, max_rows=options.max_rows)
    depth, seconds = 4 * options.max_rows, options.seconds / 4

    async def measure() -> list[tuple[float, float]]:
        async with _serving(repository, runtime, options) as device:
            pairs = []
            for _ in range(PAIRS):
                alone = await asyncio.to_thread(raw.rate, raw.best_rows, seconds)
                looped = await asyncio.to_thread(device.saturate, _same_length(), seconds, depth)
                pairs.append((alone, looped))
            return pairs

    pairs = asyncio.run(measure())
    alone, looped = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(looped / alone for alone, looped in pairs)
    report.add(
        Table(
            f"{runtime}: saturation, {LENGTH} tokens each",
            ("what", "sentences/s", "ratio"),
            [
                (f"the runtime alone, {raw.best_rows} rows a call", alone, 1.0),
                (f"device loop, up to {options.max_rows} rows", looped, ratio),
            ],
            f"Medians of {PAIRS} pairs, the ratio within each pair.",
        )
    )
    return {"alone": [each[0] for each in pairs], "device loop": [each[1] for each in pairs]}


def open_loop(
    report: Report, folder: Path, runtime: str, options: Options, alone: Raw
) -> list[dict[str, Any]]:
    """All ways of padding are loaded at once and take turns; the rates are shares of what buckets
    reach.
    """
    found: list[dict[str, Any]] = []

    async def measure() -> None:
        async with AsyncExitStack() as stack:
            devices = {}
            for name, sizes in PADDINGS.items():
                repository = minilm.repository(folder, runtime, sizes, options.max_rows)
                devices[name] = await stack.enter_async_context(
                    _serving(repository, runtime, options)
                )
            capacity = await _capacities(devices, options)
            for share in SHARES:
                rate = share * capacity["buckets"]
                for name, device in devices.items():
                    row = {"padding": name, "capacity": capacity[name], "rate": rate}
                    if rate < 0.9 * capacity[name]:
                        row |= await _arrivals(device, _mixed(), rate, options)
                    found.append(row)
            rate = alone.best_rate / 2
            row = {"padding": f"{LENGTH} tokens each", "capacity": alone.best_rate, "rate": rate}
            found.append(row | await _arrivals(devices["buckets"], _same_length(), rate, options))

    asyncio.run(measure())
    report.add(
        Table(
            f"{runtime}: Poisson arrivals",
            ("padding", "most sentences/s", "arrivals/s", "p50 ms", "p99 ms", "rows/batch", "lost"),
            [
                (
                    each["padding"],
                    each["capacity"],
                    each["rate"],
                    each["p50"] * 1e3 if "p50" in each else "beyond capacity",
                    each["p99"] * 1e3 if "p99" in each else None,
                    each.get("rows"),
                    each.get("refused"),
                )
                for each in found
            ],
            f"The last row is one length ({LENGTH} tokens) at half load: its p99 is to be at most "
            f"twice a full batch's time, {alone.full_batch * 2e3:.0f} ms.",
        )
    )
    return found


async def _capacities(devices: dict[str, Device], options: Options) -> dict[str, float]:
    """Sentences a second of mixed lengths with the queue always full; medians of three turns."""
    taken: dict[str, list[float]] = {name: [] for name in devices}
    for _ in range(3):
        for name, device in devices.items():
            taken[name].append(
                await asyncio.to_thread(
                    device.saturate, _mixed(), options.seconds / 4, 4 * options.max_rows
                )
            )
    return {name: statistics.median(each) for name, each in taken.items()}


async def _arrivals(
    device: Device, inputs: Iterator[Arrays], rate: float, options: Options
) -> dict[str, Any]:
    tally = await asyncio.to_thread(device.arrive, inputs, rate, options.seconds, seed=3)
    return {
        "p50": tally.quantile(0.5),
        "p99": tally.quantile(0.99),
        "rows": tally.batch,
        "refused": tally.refused,
    }


def serve(
    report: Report, folder: Path, runtime: str, options: Options
) -> dict[str, dict[str, float]]:
    """Both servers stand beside each other; only one is asked at a time, in alternating blocks."""
    drawn = sentences.lengths(5)
    bodies = tuple(sentences.rest(next(drawn)) for _ in range(256))
    path = f"/v2/models/{minilm.NAME}/infer"
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {credentials.token('infer:*')}",
    }
    with children() as started:
        gateway = mesh.gateway(folder, "batching")
        started.append(gateway.child)
        repository = minilm.repository(folder, runtime, max_rows=options.max_rows)
        backend, _ = mesh.backend(
            folder,
            f"batching-{runtime}",
            runtime,
            repository,
            [gateway],
            device=options.device,
            threads=options.threads,
        )
        started.append(backend)
        (port,) = free_ports(1)
        words = [str(port), runtime, str(minilm.artifact(folder, runtime)), options.device]
        command = [sys.executable, "-m", "benchmarks.naive", *words, str(options.threads)]
        wrapper = Child("naive", command, folder / "naive.log")
        started.append(wrapper)
        wait_for_port(wrapper, port, 120.0)
        gateway.wait_for(minilm.NAME, [backend])
        calls = {
            "plain wrapper": Call(port, path, headers, bodies),
            "Penstock": Call(gateway.http, path, headers, bodies),
        }
        for call in calls.values():
            load.wrk(call, CALLERS, 1.0)
        blocks: dict[str, list[load.Load]] = {name: [] for name in calls}
        for _ in range(3):
            for name, call in calls.items():
                blocks[name].append(load.wrk(call, CALLERS, options.seconds / 2))
    # The block with the median rate stands for its server.
    loads = {name: sorted(each, key=lambda b: b.rate)[1] for name, each in blocks.items()}
    wrapped = loads["plain wrapper"].rate
    report.add(
        Table(
            f"{runtime}: served over HTTP, mixed lengths, {CALLERS} callers",
            ("way", "sentences/s", "ratio", "p50 ms", "p99 ms"),
            [
                (name, each.rate, each.rate / wrapped, each.p50 * 1e3, each.p99 * 1e3)
                for name, each in loads.items()
            ],
        )
    )
    return {name: asdict(each) for name, each in loads.items()}


def _serving(
    repository: Path, runtime: str, options: Options
) -> AbstractAsyncContextManager[Device]:
    return serving(repository, runtime, minilm.NAME, options.device, options.threads)


def _same_length() -> Iterator[Arrays]:
    inputs = sentences.tokens(LENGTH)
    while True:
        yield inputs


def _mixed() -> Iterator[Arrays]:
    made = {}
    for length in sentences.lengths(6):
        if length not in made:
            made[length] = sentences.tokens(length)
        yield made[length]
