"""What limits cost a request: processor time of the filter alone, in microseconds.

64 floats in, or a chat of 600 letters; a model that answers at once. All cases take turns within a
round, and the first is there twice (A/A); the cost is the difference to a route without limits.

    python -m benchmarks limiting [--quick]
"""

import json
import time
from math import inf
from statistics import median

import uvloop

from benchmarks.report import Report, Table
from policies.limits.filter import Limits
from policies.limits.local import Local
from protos.route.document import Spec
from protos.route.match import Backend, Match
from protos.route.policies import Limit
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply
from protos.values import (
    Chat,
    Context,
    InferRequest,
    Part,
    Payload,
    Principal,
    Tensor,
    Tensors,
    Timeline,
)

ROUNDS = 31
REQUESTS = 2000
FLOATS = Tensors((Tensor("x", "FP32", (1, 64), bytes(256)),))
CHAT = Chat({"messages": [{"role": "user", "content": "hello " * 100}], "max_tokens": 100})
ANSWER = Reply(Part(Tensors((Tensor("y", "FP32", (1, 10), bytes(40)),)), "1", {}, True))

REQUESTS_LIMIT = {"per": "tenant", "requests": "1M/s"}
ROWS_LIMIT = {"per": "key", "rows": "1M/s"}
TOKENS_LIMIT = {"per": "tenant", "tokens": "1000M/s"}
SLOTS = {"per": "tenant", "concurrency": 100}
BUDGET = {"per": "tenant", "budget": {"every": "month", "requests": 10**12}}
TOKENS_BUDGET = {"per": "tenant", "budget": {"every": "month", "tokens": 10**12}}

Case = tuple[str, RouteSnapshot, Payload]


def _route(*limits: object) -> RouteSnapshot:
    spec = Spec(
        match=(Match(model="m"),),
        backends=(Backend(name="stable", model="m"),),
        limits=tuple(Limit.model_validate_json(json.dumps(each)) for each in limits),
    )
    return RouteSnapshot("m", "r1", spec, ())


CASES: tuple[Case, ...] = (
    ("no limits", _route(), FLOATS),
    ("no limits again (A/A)", _route(), FLOATS),
    ("requests", _route(REQUESTS_LIMIT), FLOATS),
    ("requests, rows of each key", _route(REQUESTS_LIMIT, ROWS_LIMIT), FLOATS),
    ("concurrency", _route(SLOTS), FLOATS),
    ("a budget of requests", _route(BUDGET), FLOATS),
    ("tokens of a chat", _route(TOKENS_LIMIT), CHAT),
    (
        "requests, tokens, concurrency, a budget of tokens",
        _route(REQUESTS_LIMIT, TOKENS_LIMIT, SLOTS, TOKENS_BUDGET),
        CHAT,
    ),
)


def _request(route: RouteSnapshot, payload: Payload) -> InferRequest:
    context = Context(Principal("s", "t", frozenset()), inf, Timeline(0.0), route=route)
    return InferRequest("", "m", "1", payload, {}, context)


async def _model(request: InferRequest) -> Reply:
    return ANSWER


async def _round(case: Case, limits: Limits) -> float:
    """Seconds of processor time a request."""
    _, route, payload = case
    requests = [_request(route, payload) for _ in range(REQUESTS)]
    started = time.thread_time()
    for request in requests:
        reply = await limits(request, _model)
        reply.on_close()
    return (time.thread_time() - started) / REQUESTS


async def _rounds(rounds: int) -> dict[str, list[float]]:
    limits = Limits(Local(time.time), time.monotonic, time.time)
    taken: dict[str, list[float]] = {case[0]: [] for case in CASES}
    for _ in range(rounds):
        for case in CASES:
            taken[case[0]].append(await _round(case, limits))
    return taken


def run(*, quick: bool = False) -> None:
    """Measures, prints and saves the table."""
    taken = uvloop.run(_rounds(3 if quick else ROUNDS))
    base = taken[CASES[0][0]]
    rows = [
        (name, median(each) * 1e6, median((a - b) * 1e6 for a, b in zip(each, base, strict=True)))
        for name, each in taken.items()
    ]
    report = Report("Limits", str(__doc__).partition("\n\n    python")[0])
    report.add(Table("µs of processor time a request", ("case", "filter", "cost"), rows))
    report.save("limiting", taken)


if __name__ == "__main__":
    run()
