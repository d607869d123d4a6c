"""A cache on its own, with a model that tests script, a clock that they set, and what it holds."""

import asyncio
from math import inf

from policies.cache.filter import ResponseCache
from policies.cache.key import Keys
from policies.cache.memory import Memory
from policies.cache.seal import Seal
from policies.cache.shared import Shared
from policies.cache.stores import Stores
from protos.principal import Principal
from protos.route.document import Spec
from protos.route.snapshot import Arm, RouteSnapshot
from protos.service import Reply
from protos.timeline import Target, Timeline
from protos.values import Context, InferRequest, Part, Tensor, Tensors

SECRET = b"a secret of tests"


def route(name="fraud", revision="r1", more=None, **rule):
    """A route that keeps answers for a minute."""
    spec = Spec.model_validate(
        {
            "match": ({"model": "m"},),
            "backends": ({"name": "stable", "model": "m"},),
            "cache": {"ttl": "60s", "verify": "0%", **rule},
            **(more or {}),
        }
    )
    return RouteSnapshot(name, revision, spec, (Arm("stable", "m", "1", 1.0),))


ROUTE = route()


def tensor(*values, name="x"):
    return Tensor(name, "UINT8", (len(values),), bytes(values))


def request(
    *values,
    by=ROUTE,
    tenant="acme",
    arm="stable",
    cache_control="",
    payload=None,
    parameters=None,
    deadline=inf,
    target=None,
    **context,
):
    """A request for version 1 of m, as the split leaves it."""
    headers = [(b"cache-control", cache_control.encode())] if cache_control else []
    target = target or Target(arm, "m", "1")
    surroundings = Context(
        Principal("s", tenant, frozenset()),
        deadline,
        Timeline(0.0),
        target,
        route=by,
        headers=headers,
        **context,
    )
    payload = payload or Tensors((tensor(*(values or (1,))),))
    return InferRequest("", target.model, target.version, payload, parameters or {}, surroundings)


def part(*values, final=True, version="1"):
    return Part(Tensors((tensor(*values, name="y"),)), version, {}, final)


def reply_of(payload):
    return Reply(Part(payload, "1", {}, True))


def said(reply):
    """The values of a unary reply."""
    assert reply.rest is None
    return list(reply.first.payload.tensors[0].data)


async def heard(reply):
    """The values of all parts of a reply, which is closed then."""
    try:
        parts = [reply.first]
        if reply.rest is not None:
            parts += [each async for each in reply.rest]
        return [list(each.payload.tensors[0].data) for each in parts]
    finally:
        reply.on_close()


class Model:
    """Answers n with n + 1, and counts; `gate` holds answers back, `fails` is raised instead."""

    def __init__(self):
        self.asked = []
        self.closed = 0
        self.cancelled = 0
        self.gate = None
        self.fails = None

    def hold(self):
        self.gate = asyncio.Event()

    async def __call__(self, asked):
        self.asked.append(asked)
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fails is not None:
            raise self.fails
        return self.reply(asked)

    def reply(self, asked):
        values = [(value + 1) % 256 for value in asked.payload.tensors[0].data]
        return Reply(part(*values), None, self.close)

    def close(self):
        self.closed += 1


class Stream(Model):
    """Answers with a part for each value of the input, the last one final."""

    def reply(self, asked):
        values = list(asked.payload.tensors[0].data)
        parts = [part(v, final=i == len(values) - 1) for i, v in enumerate(values)]
        return Reply(parts[0], self.rest(parts[1:]) if parts[1:] else None, self.close)

    async def rest(self, parts):
        for each in parts:
            await asyncio.sleep(0)
            yield each


class Cache:
    """The filter with its surroundings; `again` is what executes hits a second time."""

    def __init__(self, *, budget=1 << 20, most=1 << 16, shared=None, again=None, rng=lambda: 0.5):
        self.now = 1000.0
        self.revision = "rev"
        self.generates = False
        self.idempotent = True
        self.memory = Memory(budget, lambda: self.now)
        self.shared = shared and Shared(shared, Seal(SECRET), lambda: self.now)
        self.filter = ResponseCache(
            Stores(Keys(SECRET), self.memory, self.shared, most),
            again or Model(),
            revision=lambda model, version: self.revision,
            generates=lambda model, version: self.generates,
            idempotent=lambda request: self.idempotent,
            total=30.0,
            idle=5.0,
            rng=rng,
            clock=lambda: asyncio.get_running_loop().time(),
            wall=lambda: self.now,
        )
        self.counts = self.filter.counts

    async def __call__(self, asked, model):
        return await self.filter(asked, model)

    def outcomes(self):
        """How often there was each outcome, over all routes and modes."""
        found = {}
        for (_, _, outcome), number in self.counts.requests.items():
            found[outcome] = found.get(outcome, 0) + number
        return found


async def turns(number=10):
    """So many turns of the event loop."""
    for _ in range(number):
        await asyncio.sleep(0)
