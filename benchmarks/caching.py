"""What the response cache costs a request: processor time of the filter alone, in microseconds.

64 floats in, 10 out, a model that answers at once. All cases take turns within a round, and the
first is there twice (A/A); the cost is the difference to a route without a cache.

    python -m benchmarks caching [--quick]
"""

import time
from math import inf
from statistics import median
from struct import pack

import uvloop

from benchmarks.report import Report, Table
from policies.cache.filter import ResponseCache
from policies.cache.key import Keys
from policies.cache.memory import Memory
from policies.cache.stores import Stores
from protos.route.document import Spec
from protos.route.snapshot import Arm, RouteSnapshot
from protos.service import Reply
from protos.values import (
    Context,
    InferRequest,
    Part,
    Principal,
    Target,
    Tensor,
    Tensors,
    Timeline,
)

ROUNDS = 15
REQUESTS = 2000
ANSWER = Reply(Part(Tensors((Tensor("y", "FP32", (1, 10), bytes(40)),)), "1", {}, True))
HEADERS = tuple((b"header-%d" % number, b"value") for number in range(9))  # a usual number

Case = tuple[str, RouteSnapshot, bool]  # name, route, whether all requests differ


def _route(**cache: object) -> RouteSnapshot:
    block = {"cache": {"ttl": "1h", "verify": "0%", **cache}} if cache else {}
    spec = Spec.model_validate(
        {"match": ({"model": "m"},), "backends": ({"name": "stable", "model": "m"},), **block}
    )
    return RouteSnapshot("m", "r1", spec, (Arm("stable", "m", "1", 1.0),))


PLAIN = _route()
CASES: tuple[Case, ...] = (
    ("no cache", PLAIN, True),
    ("no cache again (A/A)", PLAIN, True),
    ("hit", _route(mode="enforce"), False),
    ("miss, kept", _route(coalesce=False), True),
    ("miss, kept, others may wait for it", _route(coalesce=True), True),
    ("observed hit", _route(mode="observe"), False),
)


def _request(route: RouteSnapshot, number: int) -> InferRequest:
    context = Context(
        Principal("s", "t", frozenset()),
        inf,
        Timeline(0.0),
        Target("stable", "m", "1"),
        route=route,
        headers=HEADERS,
    )
    data = pack("<Q248x", number)
    return InferRequest("", "m", "1", Tensors((Tensor("x", "FP32", (1, 64), data),)), {}, context)


async def _model(request: InferRequest) -> Reply:
    return ANSWER


def _cache() -> ResponseCache:
    return ResponseCache(
        Stores(Keys(bytes(32)), Memory(64 << 20, time.monotonic), None, 1 << 20),
        _model,
        revision=lambda model, version: "revision",
        generates=lambda model, version: False,
        idempotent=lambda request: True,
        total=30.0,
        idle=5.0,
        rng=lambda: 0.5,
        clock=time.monotonic,
        wall=time.time,
    )


async def _round(case: Case, cache: ResponseCache, begin: int) -> float:
    """Seconds of processor time a request."""
    _, route, differ = case
    requests = [_request(route, begin + number * differ) for number in range(REQUESTS)]
    started = time.thread_time()
    for request in requests:
        await cache(request, _model)
    return (time.thread_time() - started) / REQUESTS


async def _rounds(rounds: int) -> dict[str, list[float]]:
    caches = {case[0]: _cache() for case in CASES}
    taken: dict[str, list[float]] = {case[0]: [] for case in CASES}
    for number in range(rounds):
        for case in CASES:
            begin = (1 + number * REQUESTS) * case[2]
            taken[case[0]].append(await _round(case, caches[case[0]], begin))
    return taken


def run(*, quick: bool = False) -> None:
    """Measures, prints and saves the table."""
    taken = uvloop.run(_rounds(3 if quick else ROUNDS))
    base = taken[CASES[0][0]]
    rows = [
        (name, median(each) * 1e6, median((a - b) * 1e6 for a, b in zip(each, base, strict=True)))
        for name, each in taken.items()
    ]
    report = Report("The response cache", str(__doc__).partition("\n\n    python")[0])
    report.add(Table("µs of processor time a request", ("case", "filter", "cost"), rows))
    report.save("caching", taken)


if __name__ == "__main__":
    run()
