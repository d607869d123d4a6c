"""Penstock with every policy on, beside Penstock without them and Envoy, in one run.

All policies: a sticky split, limits by requests, rows and concurrency, redaction, an output policy,
the response cache and the audit of every request. Bodies differ and answers are kept for a moment
only, so that the cache looks up and stores and doesn't answer; a subject of its own shows what it
saves when it does. Rounds, ratios and added latency are as in `gateways`.

    python -m benchmarks policies [--quick] [--split]
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import credentials, envoy, gateways, mesh
from benchmarks.gateways import Case, Figure, Options, median
from benchmarks.load import Call
from benchmarks.processes import Child, children, free_ports, wait_for_port
from benchmarks.report import Report, Table
from benchmarks.subjects import ENVOY, Bench, Cores, Http, rest
from benchmarks.works import VECTOR, repository

PLAIN, ALL, AGAIN, CACHED = "no policies", "all policies", "all policies again (A/A)", "from cache"
SUBJECTS = (PLAIN, ALL, AGAIN, CACHED, ENVOY)
BODIES = 512  # different ones
_ROUTE = """\
apiVersion: penstock/v1
kind: Route
metadata: {name: vector}
spec:
  match: [{model: vector}]
  backends: [{name: stable, model: vector, version: "1", weight: 1}]
  sticky: {key: jwt.sub, salt: benchmark}
  privacy: {policy: bank}
  output: {policy: decent}
  cache: {ttl: %s, verify: 0%%}
  audit: {requests: all}
  limits:
    - {per: tenant, requests: 1M/s}
    - {per: tenant, rows: 1M/s}
    - {per: key, concurrency: 4096}
    - {per: tenant, budget: {every: month, requests: 1000000000000}}
"""
_PRIVACY = """\
apiVersion: penstock/v1
kind: Privacy
metadata: {name: bank}
"""
_OUTPUT = """\
apiVersion: penstock/v1
kind: Output
metadata: {name: decent}
spec:
  patterns: [{name: SECRET, pattern: 'top secret', action: mask}]
"""


def routes(ttl: str) -> dict[str, str]:
    return {"vector.yaml": _ROUTE % ttl, "bank.yaml": _PRIVACY, "decent.yaml": _OUTPUT}


def run(options: Options, folder: Path) -> None:
    """Measures, prints and saves the tables."""
    cores = Cores()
    if options.split:
        first, *others = sorted(os.sched_getaffinity(0))
        cores = Cores((first,), tuple(others))
        os.sched_setaffinity(0, others)  # the load generators inherit it
    busy = os.getloadavg()[0]
    report = Report(
        "Policies",
        f"Medians of {options.rounds} rounds of {options.seconds:g} s; load average before the"
        f" start {busy:.1f}. {'Gateways on a core of their own.' if options.split else ''}",
    )
    raw = []
    with _bench(folder, cores) as running:
        for connections in (1, 64):
            case = Case(1, VECTOR, connections, SUBJECTS)
            taken = gateways.rounds(running, case, options)
            figures = {name: median(each) for name, each in taken.items()}
            report.add(_table(case, figures))
            raw += [gateways.raw(case, name, each) for name in taken for each in taken[name]]
    report.save("policies-split" if options.split else "policies", raw)


@contextmanager
def _bench(folder: Path, cores: Cores) -> Iterator[Bench]:
    with children() as started:
        fronts = {
            name: mesh.gateway(folder, f"policies-{index}", 1, cores.gateways, wanted)
            for index, (name, wanted) in enumerate(
                ((PLAIN, {}), (ALL, routes("1ms")), (AGAIN, routes("1ms")), (CACHED, routes("1h")))
            )
        }
        started += [each.child for each in fronts.values()]
        models = repository(folder)
        joined = list(fronts.values())
        backend, port = mesh.backend(
            folder, "policies-backend", "python", models, joined, cores=cores.rest
        )
        started.append(backend)
        for each in joined:
            each.wait_for(VECTOR.model, [backend])
        (front,) = free_ports(1)
        command = envoy.command(folder, front, [port])
        proxy = Child("envoy", command, folder / "envoy.log", cores.gateways)
        started.append(proxy)
        wait_for_port(proxy, front)
        token = credentials.token("infer:*")
        subjects = [
            *(Http(n, g.child, {VECTOR.model: _calls(g.http, token)}) for n, g in fronts.items()),
            Http(ENVOY, proxy, {VECTOR.model: _transcoded(front, token)}),
        ]
        yield Bench({each.name: each for each in subjects}, [backend], [port])


def _calls(port: int, token: str) -> Call:
    return replace(rest(port, VECTOR, token), bodies=tuple(map(VECTOR.rest, range(BODIES))))


def _transcoded(port: int, token: str) -> Call:
    bodies = tuple(map(VECTOR.transcoded, range(BODIES)))
    return replace(rest(port, VECTOR, token), bodies=bodies)


def _table(case: Case, figures: dict[str, Figure]) -> Table:
    against, plain = figures[ENVOY], figures[PLAIN]
    rows = [
        (
            name,
            figure.rate,
            figure.rate / against.rate,
            figure.rate / plain.rate,
            figure.p50 * 1e3,
            figure.p99 * 1e3,
            figure.front * 1e6,
            (figure.front - plain.front) * 1e6,
        )
        for name, figure in figures.items()
    ]
    return Table(
        f"{case.work.model}, {case.connections} at a time",
        (
            "way",
            "requests/s",
            "× Envoy",
            "× no policies",
            "p50 ms",
            "p99 ms",
            "gateway CPU µs",
            "more than without µs",
        ),
        rows,
    )
