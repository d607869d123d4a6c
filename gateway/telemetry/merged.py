"""How several workers' counts become one page."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from gateway.telemetry.turns import in_turns
from protos import discovery_pb2 as pb

Values = tuple[str, ...]
Told = tuple[str, pb.MetricFamily]  # by the worker of that number


class Merged:
    """Several workers' families; `Merge` says how their series become one.

    Of workers that are gone, counters and histograms stay in the sum, or rates would go negative;
    their gauges go, and so does what each worker says of itself alone.
    """

    def __init__(self) -> None:
        self._reports: dict[str, list[pb.MetricFamily]] = {}
        self._processes: dict[str, str] = {}
        self._gone: dict[str, pb.MetricFamily] = {}

    def report(self, worker: str, families: Iterable[pb.MetricFamily]) -> None:
        """What the counters have reached of a worker `number/process`.

        Another process of the same number has taken the former one's place.
        """
        number = worker.partition("/")[0]
        former = self._processes.get(number)
        if former != worker:
            self._processes[number] = worker
            self._retire(former)
        self._reports[worker] = list(families)

    def families(self) -> Iterator[pb.MetricFamily]:
        """All workers' as of now, in the order in which they were first told of.

        They are put together as they are taken, which is to be in a thread: reports don't change
        once they are there.
        """
        told: dict[str, list[Told]] = {}
        for family in self._gone.values():
            told.setdefault(family.name, []).append(("", family))
        for worker, families in self._reports.items():
            for family in families:
                told.setdefault(family.name, []).append((worker.partition("/")[0], family))
        return map(_together, told.values())

    def told(self, names: Collection[str]) -> list[pb.MetricFamily]:
        """The families of these names, each worker's own."""
        told = [self._gone.values(), *self._reports.values()]
        return [family for families in told for family in families if family.name in names]

    def _retire(self, worker: str | None) -> None:
        for family in self._reports.pop(worker or "", []):
            if family.type != "gauge" and family.merge == pb.SUM:
                together = _Sum(family)
                if family.name in self._gone:
                    together.add(self._gone[family.name], self._gone[family.name].series)
                together.add(family, family.series)
                self._gone[family.name] = together.family()


def _together(told: Sequence[Told]) -> pb.MetricFamily:
    _, first = told[0]
    if len(told) == 1 and first.merge != pb.EACH:
        return first
    made = _Sum(first)
    for worker, family in told:
        made.add(family, in_turns(family.series), worker)
    return made.family()


class _Sum:
    """A family that several are added to."""

    def __init__(self, described: pb.MetricFamily) -> None:
        self._described = described
        self._bounds = described.bounds
        self._series: dict[Values, pb.MetricSeries] = {}

    def add(
        self, family: pb.MetricFamily, found: Iterable[pb.MetricSeries], worker: str = ""
    ) -> None:
        """`found` are the family's series."""
        each = family.merge == pb.EACH
        # A worker that has observed nothing yet doesn't know the bounds.
        self._bounds = self._bounds or family.bounds
        for series in found:
            labels = (*series.labels, worker) if each else tuple(series.labels)
            known = self._series.get(labels)
            if known is None:
                known = self._series[labels] = pb.MetricSeries()
                known.CopyFrom(series)
                known.labels[:] = labels
            else:
                _combine(known, series, family.merge)

    def family(self) -> pb.MetricFamily:
        told = self._described
        names = [*told.labels, "worker"] if told.merge == pb.EACH else told.labels
        return pb.MetricFamily(
            name=told.name,
            help=told.help,
            type=told.type,
            labels=names,
            bounds=self._bounds,
            series=self._series.values(),
        )


def _combine(known: pb.MetricSeries, other: pb.MetricSeries, merge: pb.Merge) -> None:
    if merge == pb.MAX:
        known.value = max(known.value, other.value)
        return
    if merge == pb.MIN:
        known.value = min(known.value, other.value)
        return
    known.value += other.value
    if other.counts:
        known.counts[:] = [a + b for a, b in zip(known.counts, other.counts, strict=True)]
        newest = {each.bucket: each for each in known.exemplars}
        for each in other.exemplars:
            if each.bucket not in newest or newest[each.bucket].at < each.at:
                newest[each.bucket] = each
        kept = list(newest.values())
        del known.exemplars[:]
        known.exemplars.extend(kept)
