"""What a worker counts, and the page that it becomes.

Each worker reports its counts to the supervisor, which merges them; prometheus-client's
multiprocess files are not used, since nobody reaps those of dead processes. Labels are bounded:
models come from the endpoint table, everything else is "other".
"""

import asyncio
import random
from collections.abc import Callable, Iterable

from gateway.telemetry.families import (
    Labelled,
    Read,
    ReadHistograms,
    family,
    histogram_family,
)
from gateway.telemetry.language import LanguageMetrics
from gateway.telemetry.requests import RequestMetrics
from protos import discovery_pb2 as pb

__all__ = ["Labelled", "Metrics", "Totals"]


class Totals:
    """What other objects count: read when somebody looks.

    `merge` says what becomes of the same series of several workers: they add up unless it is told
    otherwise. Names of counters are without `_total`.
    """

    def __init__(self) -> None:
        self._reads: list[Callable[[], Iterable[pb.MetricFamily]]] = []

    def add(self, name: str, text: str, value: Callable[[], float]) -> None:
        self.add_labelled(name, text, (), lambda: {(): value()})

    def add_labelled(self, name: str, text: str, labels: tuple[str, ...], values: Read) -> None:
        self.add_family(lambda: family("counter", name, text, labels, values()))

    def add_gauge(
        self,
        name: str,
        text: str,
        labels: tuple[str, ...],
        values: Read,
        merge: pb.Merge = pb.SUM,
    ) -> None:
        self.add_family(lambda: family("gauge", name, text, labels, values(), merge))

    def add_histogram(
        self,
        name: str,
        text: str,
        labels: tuple[str, ...],
        values: ReadHistograms,
        merge: pb.Merge = pb.SUM,
    ) -> None:
        self.add_family(lambda: histogram_family(name, text, labels, values(), merge))

    def add_family(self, read: Callable[[], pb.MetricFamily]) -> None:
        """Adds a family that is made anew whenever somebody looks."""
        self._reads.append(lambda: (read(),))

    def add_families(self, read: Callable[[], Iterable[pb.MetricFamily]]) -> None:
        """Adds families that are made together."""
        self._reads.append(read)

    def families(self) -> list[pb.MetricFamily]:
        return [family for read in self._reads for family in read()]


class Metrics:
    """Those of one worker: its requests, and what its parts count."""

    def __init__(self) -> None:
        self.requests = RequestMetrics(random.random)
        self.language = LanguageMetrics()
        self.totals = Totals()

    async def families(self) -> list[pb.MetricFamily]:
        """Everything as messages for the supervisor; requests, which may be many, in a thread."""
        requests = await asyncio.to_thread(self.requests.families)
        return [*requests, *self.language.families(), *self.totals.families()]
