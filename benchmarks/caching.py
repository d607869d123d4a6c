"""What the response cache costs a request: processor time of the filter alone, in microseconds.

64 floats in, 10 out, a model that answers at once. All cases take turns within a round, and the
first is there twice (A/A); the cost is the difference to a route without a cache.

    python -m benchmarks caching [--quick]
"""

import time
from functools import partial
from struct import pack

import uvloop

from benchmarks import turns
from policies.cache.filter import ResponseCache
from policies.cache.key import Keys
from policies.cache.memory import Memory
from policies.cache.stores import Stores
from protos.route.snapshot import RouteSnapshot
from protos.values import InferRequest, Tensor, Tensors

ROUNDS = 15
REQUESTS = 2000
HEADERS = tuple((b"header-%d" % number, b"value") for number in range(9))  # a usual number


def _route(**cache: object) -> RouteSnapshot:
    return turns.route(cache={"ttl": "1h", "verify": "0%", **cache})


PLAIN = turns.route()
CASES: dict[str, tuple[RouteSnapshot, bool]] = {  # and whether all requests differ
    "no cache": (PLAIN, True),
    "no cache again (A/A)": (PLAIN, True),
    "hit": (_route(mode="enforce"), False),
    "miss, kept": (_route(coalesce=False), True),
    "miss, kept, others may wait for it": (_route(coalesce=True), True),
    "observed hit": (_route(mode="observe"), False),
}


def _request(route: RouteSnapshot, number: int) -> InferRequest:
    data = pack("<Q248x", number)
    return turns.request(route, Tensors((Tensor("x", "FP32", (1, 64), data),)), HEADERS)


def _cache() -> ResponseCache:
    return ResponseCache(
        Stores(Keys(bytes(32)), Memory(64 << 20, time.monotonic), None, 1 << 20),
        turns.model,
        revision=lambda model, version: "revision",
        generates=lambda model, version: False,
        idempotent=lambda request: True,
        total=30.0,
        idle=5.0,
        rng=lambda: 0.5,
        clock=time.monotonic,
        wall=time.time,
    )


async def _round(route: RouteSnapshot, differ: bool, cache: ResponseCache, number: int) -> float:
    begin = (1 + number * REQUESTS) * differ
    requests = [_request(route, begin + each * differ) for each in range(REQUESTS)]

    async def work() -> None:
        for request in requests:
            await cache(request, turns.model)

    return await turns.seconds(work, REQUESTS)


async def _rounds(count: int) -> turns.Taken:
    cases = {name: partial(_round, *case, _cache()) for name, case in CASES.items()}
    return await turns.rounds(cases, count)


def run(*, quick: bool = False) -> None:
    """Measures, prints and saves the table."""
    taken = uvloop.run(_rounds(3 if quick else ROUNDS))
    turns.report_costs("The response cache", __doc__, "caching", taken)


if __name__ == "__main__":
    run()
