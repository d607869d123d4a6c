"""Penstock beside Envoy, a bare unary gateway and no gateway, before the same backend processes.

In each round every subject is measured once, in an order that moves on from round to round; figures
are medians over the rounds. Penstock stands in twice, as two equal processes: their ratio (A/A)
shows what a ratio means on this machine. Added latency is the client's total less the queue and
compute time that the backends' statistics give for the same block: one formula for all.

    python -m benchmarks gateways [--quick] [--split]
"""

import os
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks import subjects
from benchmarks.report import Report, Table
from benchmarks.subjects import Bench, Cores, bench
from benchmarks.works import IMAGE, VECTOR, Work

SMALL = (
    subjects.PENSTOCK,
    subjects.AGAIN,
    subjects.WORKERS,
    subjects.ENVOY,
    subjects.UNARY,
    subjects.DIRECT,
)
LARGE = (
    subjects.PENSTOCK,
    subjects.BINARY,
    subjects.PENSTOCK_GRPC,
    subjects.ENVOY,
    subjects.ENVOY_GRPC,
    subjects.UNARY,
    subjects.DIRECT,
)
ENDPOINTS = (1, 4, 16)
CONNECTIONS = (1, 16, 64, 256)


@dataclass(frozen=True, slots=True)
class Options:
    rounds: int = 3
    seconds: float = 2.0
    endpoints: tuple[int, ...] = ENDPOINTS
    split: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One subject under one load; times in seconds, processor time a request."""

    rate: float
    p50: float
    p99: float
    device: float
    front: float
    backends: float
    rows: float

    @property
    def added_p50(self) -> float:
        return self.p50 - self.device

    @property
    def added_p99(self) -> float:
        return self.p99 - self.device


@dataclass(frozen=True, slots=True)
class Case:
    endpoints: int
    work: Work
    connections: int
    subjects: tuple[str, ...]
    at_least: float = 0.0  # seconds; the slowest way needs more than one to answer anything


def measure(running: Bench, case: Case, name: str, seconds: float) -> Figure:
    """One block of load on one subject."""
    subject = running.subjects[name]
    time, back = running.device_time(case.work), running.backend_cpu()
    front = subject.front.cpu() if subject.front else 0.0
    load = subject.load(case.work, case.connections, seconds)
    front = (subject.front.cpu() if subject.front else 0.0) - front
    back = running.backend_cpu() - back
    time = running.device_time(case.work).since(time)
    each = 1 / load.requests
    return Figure(load.rate, load.p50, load.p99, time.mean, front * each, back * each, time.rows)


def median(figures: list[Figure]) -> Figure:
    """Field by field."""
    names = [field.name for field in fields(Figure)]
    return Figure(**{n: statistics.median(getattr(f, n) for f in figures) for n in names})


def cases(endpoints: int) -> Iterable[Case]:
    for connections in CONNECTIONS:
        yield Case(endpoints, VECTOR, connections, SMALL)
    if endpoints == 1:
        for connections in (1, 8):
            yield Case(endpoints, IMAGE, connections, LARGE, at_least=4.0)


def run(options: Options, folder: Path) -> None:
    """Measures everything, prints tables as they come, and saves them."""
    cores = Cores()
    if options.split:
        first, *others = sorted(os.sched_getaffinity(0))
        cores = Cores((first,), tuple(others))
        os.sched_setaffinity(0, others)  # the load generators inherit it
    layout = (
        "Gateways on one core, load and backends on the others"
        if options.split
        else ("All processes share all cores")
    )
    busy = os.getloadavg()[0]
    report = Report(
        "Gateways",
        f"{layout}. Medians of {options.rounds} rounds of {options.seconds:g} s; load average "
        f"before the start {busy:.1f}.",
    )
    figures: list[dict[str, Any]] = []
    for endpoints in options.endpoints:
        with bench(folder, endpoints, cores) as running:
            for case in cases(endpoints):
                taken = rounds(running, case, options)
                figures += [raw(case, name, each) for name in taken for each in taken[name]]
                report.add(table(case, {name: median(each) for name, each in taken.items()}))
    report.save("gateways-split" if options.split else "gateways", figures)


def rounds(running: Bench, case: Case, options: Options) -> dict[str, list[Figure]]:
    """Figures of each subject of the case, by round."""
    taken: dict[str, list[Figure]] = {name: [] for name in case.subjects}
    for name in case.subjects:  # connections, caches and clocks warm up
        running.subjects[name].load(case.work, case.connections, 0.5)
    for number in range(options.rounds):
        at = number % len(case.subjects)
        for name in (*case.subjects[at:], *case.subjects[:at]):
            taken[name].append(measure(running, case, name, max(options.seconds, case.at_least)))
    return taken


def table(case: Case, figures: dict[str, Figure]) -> Table:
    envoy = figures[subjects.ENVOY].rate
    rows = [
        (
            name,
            figure.rate,
            figure.rate / envoy,
            figure.p50 * 1e3,
            figure.p99 * 1e3,
            figure.added_p50 * 1e3,
            figure.added_p99 * 1e3,
            figure.front * 1e6 if figure.front else None,
            figure.backends * 1e6,
            figure.rows,
        )
        for name, figure in figures.items()
    ]
    plural = "s" if case.endpoints > 1 else ""
    shape = "×".join(map(str, case.work.shape))
    return Table(
        f"{case.work.model} ({shape} FP32), {case.connections} at a time, "
        f"{case.endpoints} endpoint{plural}",
        (
            "way",
            "requests/s",
            "× Envoy",
            "p50 ms",
            "p99 ms",
            "added p50 ms",
            "added p99 ms",
            "gateway CPU µs",
            "backends CPU µs",
            "requests/batch",
        ),
        rows,
    )


def raw(case: Case, name: str, figure: Figure) -> dict[str, Any]:
    """A figure with what it is of, to be saved."""
    what = {"endpoints": case.endpoints, "work": case.work.model, "connections": case.connections}
    return {"subject": name, **what, **asdict(figure)}
