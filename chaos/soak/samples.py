"""What each process of a mesh holds, second by second: memory, tasks, descriptors, threads, queues.

Memory is the kernel's account of what only this process has (USS, the private pages of
`smaps_rollup`) beside all of what it maps (RSS).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_PROC = Path("/proc")
_KIB = 1024
_LABEL = re.compile(r'worker="([^"]*)"')
# What waits, of the whole gateway.
QUEUES = (
    "penstock_fair_waiting",
    "penstock_cache_waiting",
    "penstock_endpoint_in_flight",
    "penstock_spans_queued",
)
TASKS = "penstock_asyncio_tasks"
LAG = "penstock_event_loop_lag_seconds"


@dataclass(frozen=True, slots=True)
class Holding:
    """One process at one time. Bytes and counts; NaN where nobody tells."""

    rss: float
    uss: float
    threads: float
    descriptors: float
    tasks: float = float("nan")
    lag: float = float("nan")  # seconds that timers of its event loop were late, on average
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """All processes by name, and what waits in the gateway by the metric's name."""

    at: float  # seconds since the soak began
    processes: Mapping[str, Holding]
    queues: Mapping[str, float]

    def line(self) -> str:
        processes = {name: asdict(held) for name, held in self.processes.items()}
        return json.dumps({"at": round(self.at, 3), "processes": processes, "queues": self.queues})


def holding(pid: int) -> Holding | None:
    """None if there is no such process (any more)."""
    place = _PROC / str(pid)
    try:
        memory = _kilobytes((place / "smaps_rollup").read_text())
        threads = _kilobytes((place / "status").read_text())["Threads"]
        descriptors = sum(1 for _ in (place / "fd").iterdir())
    except (OSError, KeyError):
        return None
    private = memory["Private_Clean"] + memory["Private_Dirty"]
    return Holding(memory["Rss"] * _KIB, private * _KIB, threads, descriptors, pid=pid)


def workers(supervisor: int) -> dict[str, int]:
    """Process ids of a supervisor's serving processes by their names."""
    found = {}
    for pid in _children(supervisor):
        try:
            arguments = (_PROC / str(pid) / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if "--index" in arguments:
            found[f"worker {arguments[arguments.index('--index') + 1]}"] = pid
    return found


# Tasks by process, average lags in seconds by process, and what waits by metric.
Reading = tuple[dict[str, float], dict[str, float], dict[str, float]]


class Told:
    """What a gateway's metrics tell; of lags, what came since the last time."""

    def __init__(self) -> None:
        self._lags: dict[str, tuple[float, float]] = {}

    def read(self, page: str) -> Reading:
        """Lags are of the time since the page before."""
        tasks: dict[str, float] = {}
        queues = dict.fromkeys(QUEUES, 0.0)
        sums: dict[str, dict[str, float]] = {"sum": {}, "count": {}}
        for name, labels, value in _series(page):
            if name in queues:
                queues[name] += value
            elif name == TASKS:
                tasks[_process(labels)] = value
            elif name in (f"{LAG}_sum", f"{LAG}_count"):
                sums[name.removeprefix(f"{LAG}_")][_process(labels)] = value
        return tasks, dict(self._since(sums["sum"], sums["count"])), queues

    def _since(
        self, late: Mapping[str, float], ticks: Mapping[str, float]
    ) -> Iterator[tuple[str, float]]:
        for process, seconds in late.items():
            before = self._lags.get(process, (0.0, 0.0))
            self._lags[process] = seconds, ticks[process]
            if ticks[process] > before[1]:
                yield process, (seconds - before[0]) / (ticks[process] - before[1])


def series(samples: Sequence[Sample], process: str, what: str) -> list[tuple[float, float]]:
    """Times and values of one field of one process, where it was told."""
    found = [
        (each.at, getattr(each.processes[process], what))
        for each in samples
        if process in each.processes
    ]
    return [(at, value) for at, value in found if value == value]


def _series(page: str) -> Iterator[tuple[str, str, float]]:
    for line in page.splitlines():
        if line.startswith("penstock_"):
            name, _, rest = line.partition("{")
            labels, _, told = rest.rpartition("} ") if rest else ("", "", name.split(" ", 1)[1])
            yield name.split(" ", 1)[0], labels, float(told.split(" ", 1)[0])


def _process(labels: str) -> str:
    found = _LABEL.search(labels)
    name = found.group(1) if found else ""
    return f"worker {name}" if name.isdigit() else name


def _children(pid: int) -> list[int]:
    try:
        tasks = list((_PROC / str(pid) / "task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def _kilobytes(text: str) -> dict[str, float]:
    """The numbers of `Name:  123 kB` lines."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        number = value.split()
        if number and number[0].isdigit():
            found[name] = float(number[0])
    return found
