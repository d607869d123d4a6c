"""What finding a request's way costs in the gateway: its route, its arm, and an endpoint.

Each row is the best of several rounds over a thousand users, in one process and without a network.
The endpoints are real ones with beats, but for their connections; each request is a turn of the
event loop of its own, as it is at one caller: within a turn the others follow for less.

    python -m benchmarks routing
"""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import cast

from benchmarks.report import Report, Table
from protos import discovery_pb2 as pb
from protos.principal import Principal
from protos.route.document import Route
from protos.strict_yaml import read, validate
from protos.timeline import Timeline
from protos.values import Context, Headers, InferRequest, Tensors
from routing.endpoints import EndpointTable
from routing.exchange import Exchange
from routing.pick import Pick
from routing.rules.loaded import Loaded
from routing.rules.split import Splitter
from routing.rules.table import RouteTable

USERS = 1000
ROUNDS = 30
HEADERS: Headers = [
    (b"host", b"models.example"),
    (b"user-agent", b"python-httpx"),
    (b"content-type", b"application/json"),
    (b"content-length", b"512"),
    (b"cookie", b"theme=dark; uid=81d1f0"),
    (b"x-beta", b"1"),
]
ARMS = [
    f'{{name: arm-{n}, model: fraud, version: "{n}", weight: {w}}}'
    for n, w in enumerate((90, 5, 3, 2))
]


def document(match: str, *, arms: int = 2, sticky: str = "") -> str:
    lines = [
        "apiVersion: penstock/v1",
        "kind: Route",
        "metadata: {name: fraud}",
        "spec:",
        f"  match: [{match}]",
        f"  backends: [{', '.join(ARMS[:arms])}]",
    ]
    return "\n".join([*lines, f"  sticky: {{key: {sticky}}}"] if sticky else lines)


CASES = (
    ("no route", None),
    ("one arm", document("{model: fraud}", arms=1)),
    ("two arms, by chance", document("{model: fraud}")),
    ("two arms, jwt.sub", document("{model: fraud}", sticky="jwt.sub")),
    ("two arms, cookie", document("{model: fraud}", sticky="cookie.uid")),
    ("four arms, jwt.sub", document("{model: fraud}", arms=4, sticky="jwt.sub")),
    (
        "two arms, jwt.sub, a header and a claim matched",
        document('{model: "fr*", headers: {x-beta: "1"}, claims: {tier: gold}}', sticky="jwt.sub"),
    ),
)


ENDPOINTS = (1, 3, 16)


def run() -> None:
    """Measures, prints and saves the tables."""
    rows = [(name, *_measured(text)) for name, text in CASES]
    picks = [(count, _picked(count)) for count in ENDPOINTS]
    report = Report("Matching, splitting and picking", str(__doc__).partition("\n\n")[0])
    report.add(Table("µs a request", ("route", "match", "match and split"), rows))
    report.add(Table("µs a pick", ("endpoints", "pick"), picks))
    dearest = max(row[2] for row in rows) + max(pick for _, pick in picks)
    report.add(Table("The dearest of both together", ("µs a request", "budget"), [(dearest, 12)]))
    report.save("routing", {"routes": rows, "picks": picks})


class _Connected:
    """Stands for an exchange whose calls are not what is measured."""

    connected = True
    silent = False
    in_flight = 0

    def oldest(self, now: float) -> float:
        return 0.0


def _picked(count: int) -> float:
    """µs to choose among so many endpoints, each in a turn of its own."""
    table = EndpointTable(lambda address, key: cast(Exchange, _Connected()))
    snapshot = pb.Snapshot(revision=1, settled=True)
    for number in range(count):
        beat = pb.Beat(instance=f"backend-{number}", epoch=1, address=f"10.0.0.{number}:1")
        beat.healthy = True
        beat.models_revision = 1
        beat.models.models.add(name="fraud", version="1", state=pb.READY)
        beat.load.queued_work_us = 1000 * number
        beat.load.service_p50_us = 2000
        snapshot.leases.add(beat=beat, state=pb.HELD)
    table.apply(snapshot)
    turns: list[Callable[[], None]] = []
    pick = Pick(table, "worker", time.monotonic, turns.append, random.Random(1))
    requests = [replace(_request(number), version="1") for number in range(USERS)]

    def work() -> None:
        for request in requests:
            pick.choose(request)
            turns.pop()()

    return _best(work)


def _measured(text: str | None) -> tuple[float, float]:
    table = RouteTable([] if text is None else [_loaded(text)], {})
    splitter = Splitter(random.Random(1).random)
    requests = [_request(number) for number in range(USERS)]

    def match() -> None:
        for request in requests:
            context = request.context
            table.match(request.model, context.principal, context.headers)

    def both() -> None:
        for request in requests:
            context = request.context
            splitter.choose(table.match(request.model, context.principal, context.headers), request)

    return _best(match), _best(both)


def _best(work: Callable[[], None]) -> float:
    """µs of processor time a request in the best round: the others were disturbed."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) / USERS * 1e6


def _loaded(text: str) -> Loaded:
    written = read(text, "fraud.yaml")
    return Loaded("fraud.yaml", text, written, validate(written, Route))


def _request(number: int) -> InferRequest:
    who = Principal(f"user-{number}", "acme", frozenset(), "sso", {"tier": "gold"})
    context = Context(who, inf, Timeline(0.0), headers=HEADERS)
    return InferRequest("", "fraud", "", Tensors(()), {}, context)
