"""The way of a request, on one page, in the order in which the request meets it.

    head  → observe → authenticate → read body → decode → match route, deadline     (the face)
          → audit → authorise → remember → limits → privacy → samples → output
          → plugins → split → cache → fair → mirror
          → circuit → retry → hedge → pick → exchange                               (here)
          ⇒ backend: queue → batch → execute ⇒ parts                                (backends)
          → encode → bytes                                                          (the face)

What stands above the decode works on the head alone, so that strangers' bodies are never parsed.
The order of what follows is bound by these reasons:
- matching pins one snapshot of the route, which carries timeouts, limits and arms: whatever is
  loaded later doesn't touch the request;
- audit stands above all that refuse, and notes what the record will tell that the face makes when
  the request is over; where nothing is served without a record, nothing else is asked before;
- authorise stands above split: a model that may not be used answers as one that doesn't exist, and
  who may use the route's model may use its arms;
- remember stands below authorise, as names that may not be used are nobody's decisions, and above
  limits, whose refusals are some;
- limits stand above split: what is refused takes part in no comparison of arms;
- privacy stands below limits, so that what is refused costs no search, and above everything that
  keeps, copies or sends a request on: cache, mirrors, records and models see placeholders only, and
  errors from below pass it before anybody reads them;
- samples stand directly below privacy, so that of what they keep of a request somebody's data is
  hidden already, and above output, so that they keep nothing that it refuses;
- output stands below privacy, so that it sees what the model itself says and nothing that was
  restored, and above split, since a classifier is asked the same way: of all filters only those
  below it have to do with that;
- plugins, which are policies from outside, stand below output: they see what the model will see and
  nothing that privacy hides, and what they say is screened as the model's own; and above split, so
  that one that answers by itself costs nobody a place;
- split fixes the arm and the exact version before anything depends on them;
- cache stands below split, as one arm's answer never serves another, and above all that costs
  something: who gets a kept answer or waits for another's takes nobody's place, and is no evidence;
- fair stands below split, as what it shares are the models that serve, and above mirror and
  circuit: what waits or is refused is not copied, and fills no arm;
- the deadline stands above retry: one deadline spans all attempts and the backend's queue;
- mirror stands below split, which says what the primary is, and above retry: a primary is one
  request however often it is tried, and copies are never tried again;
- the circuit stands above retry: that an arm is full is no reason to ask it again;
- retry stands above pick, so that a retry can go elsewhere; never after the first part, which is
  structural: awaiting a Service returns when that part exists;
- hedge stands below retry, whose attempts and budget it shares.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import NamedTuple

from gateway.remember import Observe, Remember
from policies.audit import Audit
from policies.authorize import Authorize
from policies.cache.filter import ResponseCache
from policies.cache.stores import Stores
from policies.fair.filter import Fair
from policies.fair.settings import Fairness
from policies.limits.filter import Limits
from policies.output.filter import Output
from policies.output.judge import Models
from policies.plugins import Plugins
from policies.privacy import Privacy
from policies.samples import Sample, Samples
from protos.service import Service, stack
from protos.values import InferRequest
from routing.circuit import Circuit
from routing.compare.comparator import comparator
from routing.endpoints import EndpointTable
from routing.hedge import Hedge
from routing.pick import Pick
from routing.poison import Poison
from routing.resolve import resolve
from routing.retry import Budget, Budgets, Retry
from routing.rules.route import Split
from routing.rules.split import Splitter
from routing.shadow.mirror import Copied, Mirror
from routing.shadow.pairing import Pairing
from routing.shadow.record import PairRecord


class Pipeline(NamedTuple):
    """The filters in their order, and the service that they end in."""

    audit: Audit
    authorise: Authorize
    remember: Remember
    limits: Limits
    privacy: Privacy
    samples: Samples
    output: Output
    plugins: Plugins
    split: Split
    cache: ResponseCache
    fair: Fair
    mirror: Mirror
    circuit: Circuit
    retry: Retry
    hedge: Hedge
    pick: Pick

    def stacked(self) -> Service:
        """The service that a request meets all of them in."""
        return stack(self[:-1], self.pick)


def build(
    table: EndpointTable,
    budget: Budget,
    *,
    worker: str,
    workers: int,
    total: float,
    idle: float,
    stores: Stores,
    fairness: Fairness,
    audit: Audit,
    limits: Limits,
    privacy_key: Callable[[], bytes],
    sample: Callable[[Sample], object],
    models: Models,
    decided: Observe,
    record: Callable[[PairRecord], object],
    copied: Copied,
    poison: Poison,
    clock: Callable[[], float],
    call_soon: Callable[[Callable[[], None]], object],
    call_at: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
) -> Pipeline:
    """Makes the filters over the endpoints of `table`; `clock` and timers are the event loop's.

    This is one of so many `workers`. A request may take `total` seconds unless its route says
    otherwise, and leave parts unread for `idle`. `stores` are where answers are kept. `privacy_key`
    is called when a route has a policy, and may raise. `sample` takes what is kept of requests and
    replies, `models` knows those that output policies ask. `decided` is told where each request
    went. `record` takes what mirrors found, from another thread, and counts what it drops.
    `copied` is told of copies that are over. `poison` is what must not be executed any more.
    """

    def idempotent(request: InferRequest) -> bool:
        endpoints = table.serving(request.model, request.version)
        # Sequences carry state between requests: executing a step twice is not harmless.
        stateless = "sequence_id" not in request.parameters
        return stateless and all(
            e.signatures[request.model, request.version].idempotent for e in endpoints
        )

    def generates(model: str, version: str) -> bool:
        return any(e.signatures[model, version].openai for e in table.serving(model, version))

    chance = random.Random()  # noqa: S311 (no secret)
    pick = Pick(table, worker, clock, call_soon, chance)
    budgets = Budgets(budget, clock)
    privacy = Privacy(privacy_key, clock)
    mirror = Mirror(
        pick,
        lambda model, version: resolve(table, model, version),
        Pairing(comparator, record, redact=privacy),
        idempotent=idempotent,
        poison=poison,
        total=total,
        rng=chance.random,
        clock=clock,
        wall=time.time,
        copied=copied,
    )
    cache = ResponseCache(
        stores,
        pick,
        revision=table.revision_of,
        generates=generates,
        idempotent=idempotent,
        total=total,
        idle=idle,
        rng=chance.random,
        clock=clock,
        wall=time.time,
    )
    return Pipeline(
        audit,
        Authorize(),
        Remember(decided),
        limits,
        privacy,
        Samples(chance.random, sample),
        Output(models, clock),
        Plugins(),
        Split(table, Splitter(chance.random), budgets, clock),
        cache,
        Fair(fairness, 1.0 / workers, clock, call_at),
        mirror,
        Circuit(),
        Retry(budgets, poison, idempotent, pick.has_elsewhere, clock),
        Hedge(budgets, idempotent, pick.has_elsewhere, clock),
        pick,
    )
