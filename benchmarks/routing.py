"""What finding a request's way costs in the gateway: matching its route and choosing its arm.

Each row is the best of several rounds over a thousand users, in one process and without a network.

    python -m benchmarks routing
"""

import random
import time
from collections.abc import Callable
from math import inf

from benchmarks.report import Report, Table
from protos.route.document import Route
from protos.strict_yaml import read, validate
from protos.values import Context, Headers, InferRequest, Principal, Tensors, Timeline
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


def run() -> None:
    """Measures, prints and saves the table."""
    rows = [(name, *_measured(text)) for name, text in CASES]
    report = Report("Matching and splitting", str(__doc__).partition("\n\n")[0])
    report.add(Table("µs a request", ("route", "match", "match and split"), rows))
    report.save("routing", rows)


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
