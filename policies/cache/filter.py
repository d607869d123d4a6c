"""Gives the answer that an equal request got before, or waits for the one that it is about to get.

Stands below redaction, so that neither input nor answer hold anything that is hidden from the
model, and placeholders are restored from the requester's own request; below the split, so that one
arm's answer never serves another; above the mirror, as what is given again is no evidence.

What is decided without waiting is decided in `__call__`: a hit in memory is no more than a look.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from policies.cache.counts import Bypass, CacheCounts, Unkept
from policies.cache.directives import NONE, Directives, directives
from policies.cache.entry import times
from policies.cache.execution import detached
from policies.cache.flights import Flights
from policies.cache.keeping import Keeper
from policies.cache.key import size_of
from policies.cache.query import Query
from policies.cache.reader import Reader
from policies.cache.recording import recorded
from policies.cache.replay import replay
from policies.cache.sampling import drawn
from policies.cache.stores import Stores
from policies.cache.verify import Verdict, Verifier
from protos.errors import Kind, PenstockError
from protos.route.policies import Cache
from protos.service import Reply, Service
from protos.values import InferRequest, Part


class ResponseCache:
    """The filter.

    `again` executes hits a second time and must not retry. `revision` gives what all instances of a
    model version report, or None; `generates` says whether it is a language model, which draws its
    answers; `idempotent` whether executing a request less often than it was sent does no harm. A
    request may take `total` seconds, and a client leave parts unread for `idle`, unless its route
    says otherwise. `rng` gives numbers in [0, 1), `clock` is the event loop's, `wall` Unix time.
    """

    def __init__(
        self,
        stores: Stores,
        again: Service,
        *,
        revision: Callable[[str, str], str | None],
        generates: Callable[[str, str], bool],
        idempotent: Callable[[InferRequest], bool],
        total: float,
        idle: float,
        rng: Callable[[], float],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.stores = stores
        self.counts = CacheCounts()
        self.verifier = Verifier(again, clock)
        self._revision = revision
        self._generates = generates
        self._idempotent = idempotent
        self._total = total
        self._idle = idle
        self._rng = rng
        self._clock = clock
        self._wall = wall
        self._keeper = Keeper(stores, self.counts, revision, wall)
        self._flights = Flights(stores.most, clock)

    @property
    def in_flight(self) -> int:
        """Executions that others may wait for."""
        return len(self._flights)

    @property
    def waiting(self) -> int:
        """Requests that wait for one of them, or read it."""
        return self._flights.waiting

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        # No coroutine of its own for the many requests of routes that keep nothing.
        context = request.context
        route, target = context.route, context.target
        if route is None or route.spec.cache is None or target is None or context.shadow:
            return service(request)
        rule = route.spec.cache
        asked = _asked(request, rule)
        revision = self._revision(target.model, target.version)
        why = self._unfit(request, rule, asked)
        if why is not None or not revision:
            return self._bypass(request, service, route.name, rule, asked, why or "revision")
        key = self.stores.keys.of(request, route, rule, target, revision)
        found = self.stores.memory.find(key)
        query = Query(request, route, rule, target, revision, key, asked)
        if rule.mode == "observe":
            return self._observed(query, service, found)
        if found is not None:
            stored, ttl = times(found)
            age = max(0.0, self._wall() - stored)
            if age < ttl and asked.accept(age, ttl - age):
                return self._hit(query, found, age)
        if not self._idempotent(request):
            return self._bypass(request, service, route.name, rule, asked, "idempotence")
        # Who asks for something of their own gets it for themselves.
        if rule.coalesce and asked is NONE:
            return self._together(query, service)
        return self._alone(query, service)

    async def close(self) -> None:
        """Ends what is under way by itself, and waits for what is being written."""
        await self._flights.close()
        await self.verifier.close()
        if self.stores.shared is not None:
            await self.stores.shared.close()

    def _unfit(self, request: InferRequest, rule: Cache, asked: Directives) -> Bypass | None:
        if asked.no_store:
            return "no-store"
        if request.parameters and "sequence_id" in request.parameters:
            return "sequence"  # whose answer depends on those before
        if not rule.sampled and drawn(request, self._generates):
            return "sampled"
        if size_of(request) > self.stores.most:
            return "size"  # a digest would hold up all others for milliseconds
        return None

    def _bypass(
        self,
        request: InferRequest,
        service: Service,
        route: str,
        rule: Cache,
        asked: Directives,
        why: Bypass,
    ) -> Awaitable[Reply]:
        request.context.timeline.cache = "bypass"
        self.counts.requests[route, rule.mode, "bypass"] += 1
        self.counts.bypassed[route, why] += 1
        if asked.only_if_cached and rule.mode == "enforce":
            raise _not_cached()
        return service(request)

    async def _hit(self, query: Query, entry: bytes, age: float) -> Reply:
        timeline = query.request.context.timeline
        timeline.cache = "hit"
        timeline.cache_age = age
        route, rule = query.route, query.rule
        self.counts.requests[route.name, rule.mode, "hit"] += 1
        if rule.verify and self._rng() < rule.verify:
            patience = route.spec.timeouts.total or self._total
            self.verifier.check(query.request, entry, patience, self._keeper.judges(query))
        return replay(entry)

    async def _alone(self, query: Query, service: Service) -> Reply:
        timeline = query.request.context.timeline
        timeline.cache = "miss"
        try:
            reply, age = await self._fetch(query, query.request, service)
            if age is not None:
                timeline.cache, timeline.cache_age = "hit", age
            return reply
        finally:
            self._count(query)

    async def _together(self, query: Query, service: Service) -> Reply:
        context = query.request.context
        timeline = context.timeline
        flight = self._flights.find(query.key, context)
        began, behind = self._clock(), ""
        if flight is not None:
            timeline.cache, behind = "coalesced", flight.context.traceparent
        else:
            timeline.cache = "miss"
            # It may outlast the request that begins it.
            execution = detached(query.request)
            flight = self._flights.begin(
                query.key,
                lambda: self._fetch(query, execution, service),
                execution.context,
                query.route.spec.timeouts.idle or self._idle,
            )
        try:
            reply = await Reader(flight, context).reply()
            if flight.age is not None:
                timeline.cache, timeline.cache_age = "hit", flight.age
            return reply
        finally:
            if behind:
                timeline.waited("coalesce", began, self._clock(), behind)
            self._count(query)

    async def _fetch(
        self, query: Query, execution: InferRequest, service: Service
    ) -> tuple[Reply, float | None]:
        """The reply and its age; None where it had to be executed."""
        shared, asked = self.stores.shared, query.asked
        if shared is not None and not asked.no_cache:
            entry = await shared.find(query.key)
            if entry is not None:
                stored, ttl = times(entry)
                age = max(0.0, self._wall() - stored)
                if asked.accept(age, ttl - age):
                    await self.stores.memory.set(query.key, entry, ttl=ttl - age)
                    return replay(entry), age
        if asked.only_if_cached:
            raise _not_cached()
        reply = await service(execution)
        return recorded(reply, self.stores.most, self._keeper.keeps(query)), None

    async def _observed(self, query: Query, service: Service, found: bytes | None) -> Reply:
        """Executes, and counts what would have been; a kept answer is compared with the new one."""
        query.request.context.timeline.cache = "bypass"
        outcome = "miss" if found is None else "hit"
        self.counts.requests[query.route.name, "observe", outcome] += 1
        ended = self._keeper.keeps(query)
        if found is not None:
            ended = partial(self._compare, found, self._keeper.judges(query))

        return recorded(await service(query.request), self.stores.most, ended)

    def _compare(
        self, kept: bytes, verdict: Verdict, parts: Sequence[Part] | None, _why: Unkept | None
    ) -> None:
        if parts is not None:
            self.verifier.compare(kept, parts, verdict)

    def _count(self, query: Query) -> None:
        name, mode = query.route.name, query.rule.mode
        self.counts.requests[name, mode, query.request.context.timeline.cache] += 1

    def __repr__(self) -> str:
        return f"<ResponseCache {self.stores.memory}, {self.in_flight} in flight>"


def _asked(request: InferRequest, rule: Cache) -> Directives:
    """What the client says of the cache; while it is only observed, what is malformed is nothing.

    Raises INVALID.
    """
    try:
        return directives(request.context.headers)
    except PenstockError:
        if rule.mode == "observe":
            return NONE
        raise


def _not_cached() -> PenstockError:
    return PenstockError(Kind.NOT_CACHED, "no answer is kept, and Cache-Control forbids others")
