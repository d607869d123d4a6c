"""What metrics, unsampled traces and the log take of a gateway's requests per second.

Equal gateways before one backend: two as they are, one from which telemetry has been taken out
(`benchmarks/silent.py`). Blocks of load take turns; each round gives a ratio, and the figure is
their median. A collector's address is set, so that the ways of tracing are taken; one request in a
hundred would be sampled, so sampling is set to 0.

    python -m benchmarks telemetry-rates [--quick] [--split]
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks import credentials, gateways, mesh
from benchmarks.gateways import Case, Figure, Options
from benchmarks.processes import children
from benchmarks.report import Report, Table
from benchmarks.subjects import Bench, Http, rest
from benchmarks.works import VECTOR, repository

TOLD, AGAIN, SILENT = "all telemetry", "all telemetry again (A/A)", "without"
SUBJECTS = (TOLD, SILENT, AGAIN)
BLOCKS = 20
CONNECTIONS = 64
_TELEMETRY = {
    "telemetry": {"collector": {"endpoint": "http://127.0.0.1:9"}, "sample": "0%"},
}


def run(options: Options, folder: Path) -> None:
    """Measures, prints and saves the table."""
    blocks = options.rounds if options.rounds == 1 else BLOCKS
    with _bench(folder) as running:
        case = Case(1, VECTOR, CONNECTIONS, SUBJECTS)
        taken = gateways.rounds(running, case, replace(options, rounds=blocks))
    report = Report(
        "Telemetry in requests per second",
        f"Medians of {blocks} rounds of {options.seconds:g} s, {CONNECTIONS} connections.",
    )
    report.add(_table(taken))
    raw = [gateways.raw(case, name, each) for name in taken for each in taken[name]]
    report.save("telemetry-rates", raw)


@contextmanager
def _bench(folder: Path) -> Iterator[Bench]:
    with children() as started:
        fronts = {
            name: mesh.gateway(
                folder,
                f"telemetry-{index}",
                settings=_TELEMETRY,
                module="benchmarks.silent" if name == SILENT else "gateway",
            )
            for index, name in enumerate(SUBJECTS)
        }
        started += [each.child for each in fronts.values()]
        joined = list(fronts.values())
        backend, port = mesh.backend(
            folder, "telemetry-backend", "python", repository(folder), joined
        )
        started.append(backend)
        for each in joined:
            each.wait_for(VECTOR.model, [backend])
        token = credentials.token("infer:*")
        calls = {
            name: Http(name, each.child, {VECTOR.model: rest(each.http, VECTOR, token)})
            for name, each in fronts.items()
        }
        yield Bench(dict(calls), [backend], [port])


def _table(taken: dict[str, list[Figure]]) -> Table:
    base = taken[SILENT]
    rows = []
    for name, figures in taken.items():
        pairs = list(zip(figures, base, strict=True))
        rows.append(
            (
                name,
                median(each.rate for each in figures),
                median(each.rate / was.rate for each, was in pairs),
                median(each.front for each in figures) * 1e6,
                median(each.front - was.front for each, was in pairs) * 1e6,
            )
        )
    columns = ("gateway", "requests/s", "× without", "gateway CPU µs", "more than without, µs")
    return Table("Equal gateways, with and without telemetry", columns, rows)


if __name__ == "__main__":
    run(Options(), Path(".penstock/bench").absolute())
