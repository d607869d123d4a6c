"""What a process costs and how late its event loop runs, as metrics."""

import asyncio
import platform
from collections.abc import Iterable

import grpc
from prometheus_client import ProcessCollector

from gateway.metrics import Labelled, Totals
from gateway.telemetry.families import family
from protos import discovery_pb2 as pb
from protos.histogram import Histogram

INTERVAL = 0.1  # seconds
LAG = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class LoopLag:
    """Sets a timer ten times a second and counts how late it runs.

    A request that becomes ready at any time waits for as long, so this is what all of them lose.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.seconds = Histogram(LAG)

    def start(self) -> None:
        self._due = self._loop.time() + INTERVAL
        self._timer = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self.seconds.observe(max(0.0, self._loop.time() - self._due))
        self.start()


def register_lag(totals: Totals, lag: LoopLag) -> None:
    totals.add_histogram(
        "penstock_event_loop_lag_seconds",
        "How late a timer of a worker's event loop ran.",
        (),
        lambda: {(): lag.seconds},
        pb.EACH,
    )


def register_tasks(totals: Totals, loop: asyncio.AbstractEventLoop) -> None:
    """Adds how many tasks the loop has: what is never awaited to its end shows here first."""
    totals.add_gauge(
        "penstock_asyncio_tasks",
        "Tasks of a process's event loop.",
        (),
        lambda: {(): float(len(asyncio.all_tasks(loop)))},
        pb.EACH,
    )


def register_process(totals: Totals) -> None:
    """Adds what this process costs; whoever merges its report says which process it is."""
    collector = ProcessCollector(namespace="penstock", registry=None)

    def read() -> Iterable[pb.MetricFamily]:
        for metric in collector.collect():
            value: Labelled = {(): metric.samples[0].value}
            yield family(metric.type, metric.name, metric.documentation, (), value, pb.EACH)

    totals.add_families(read)


def register_build(totals: Totals, version: str) -> None:
    values: Labelled = {(version, platform.python_version(), grpc.__version__): 1.0}
    totals.add_gauge(
        "penstock_build_info",
        "1; the labels say what runs here.",
        ("version", "python", "grpc"),
        lambda: values,
    )
