"""What limits cost a request: processor time of the filter alone, in microseconds.

64 floats in, or a chat of 600 letters; a model that answers at once. All cases take turns within a
round, and the first is there twice (A/A); the cost is the difference to a route without limits.

    python -m benchmarks limiting [--quick]
"""

import time
from functools import partial

import uvloop

from benchmarks import turns
from benchmarks.turns import FLOATS
from policies.limits.filter import Limits
from policies.limits.local import Local
from protos.route.snapshot import RouteSnapshot
from protos.values import Chat, Payload

ROUNDS = 31
REQUESTS = 2000
CHAT = Chat({"messages": [{"role": "user", "content": "hello " * 100}], "max_tokens": 100})

REQUESTS_LIMIT = {"per": "tenant", "requests": "1M/s"}
ROWS_LIMIT = {"per": "key", "rows": "1M/s"}
TOKENS_LIMIT = {"per": "tenant", "tokens": "1000M/s"}
SLOTS = {"per": "tenant", "concurrency": 100}
BUDGET = {"per": "tenant", "budget": {"every": "month", "requests": 10**12}}
TOKENS_BUDGET = {"per": "tenant", "budget": {"every": "month", "tokens": 10**12}}


def _route(*limits: object) -> RouteSnapshot:
    return turns.route(limits=limits)


CASES: dict[str, tuple[RouteSnapshot, Payload]] = {
    "no limits": (_route(), FLOATS),
    "no limits again (A/A)": (_route(), FLOATS),
    "requests": (_route(REQUESTS_LIMIT), FLOATS),
    "requests, rows of each key": (_route(REQUESTS_LIMIT, ROWS_LIMIT), FLOATS),
    "concurrency": (_route(SLOTS), FLOATS),
    "a budget of requests": (_route(BUDGET), FLOATS),
    "tokens of a chat": (_route(TOKENS_LIMIT), CHAT),
    "requests, tokens, concurrency, a budget of tokens": (
        _route(REQUESTS_LIMIT, TOKENS_LIMIT, SLOTS, TOKENS_BUDGET),
        CHAT,
    ),
}


async def _round(route: RouteSnapshot, payload: Payload, limits: Limits, _number: int) -> float:
    requests = [turns.request(route, payload) for _ in range(REQUESTS)]

    async def work() -> None:
        for request in requests:
            reply = await limits(request, turns.model)
            reply.on_close()

    return await turns.seconds(work, REQUESTS)


async def _rounds(count: int) -> turns.Taken:
    limits = Limits(Local(time.time), time.monotonic, time.time)
    cases = {name: partial(_round, *case, limits) for name, case in CASES.items()}
    return await turns.rounds(cases, count)


def run(*, quick: bool = False) -> None:
    """Measures, prints and saves the table."""
    taken = uvloop.run(_rounds(3 if quick else ROUNDS))
    turns.report_costs("Limits", __doc__, "limiting", taken)


if __name__ == "__main__":
    run()
