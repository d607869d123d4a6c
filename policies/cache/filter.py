"""Gives the answer that an equal request got before, or waits for the one that it is about to get.

Stands below redaction, so that neither input nor answer hold anything that is hidden from the
model, and placeholders are restored from the requester's own request; below the split, so that one
arm's answer never serves another; above the mirror, as what is given again is no evidence.

What is decided without waiting is decided in `__call__`: a hit in memory is no more than a look.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

from policies.cache.compare import same
from policies.cache.counts import Bypass, Counts, Unkept
from policies.cache.directives import NONE, Directives, directives
from policies.cache.entry import decode, encode, times
from policies.cache.flight import Flight, Reader
from policies.cache.key import size_of
from policies.cache.recording import Ended, recorded
from policies.cache.sampling import drawn
from policies.cache.stores import Stores
from policies.cache.verify import Verifier
from protos.errors import Kind, PenstockError
from protos.route.policies import Cache
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply, Service
from protos.values import InferRequest, Part, Target

log = logging.getLogger(__name__)


class Query(NamedTuple):
    """A request that may have a kept answer, and its name."""

    request: InferRequest
    route: RouteSnapshot
    rule: Cache
    target: Target
    revision: str
    key: bytes
    asked: Directives


class ResponseCache:
    """The filter.

    `again` executes hits a second time and must not retry. `revision` gives what all instances of a
    model version report, or None; `idempotent` says whether executing a request less often than it
    was sent does no harm. A request may take `total` seconds, and a client leave parts unread for
    `idle`, unless its route says otherwise. `rng` gives numbers in [0, 1), `clock` is the event
    loop's, `wall` gives Unix time.
    """

    def __init__(
        self,
        stores: Stores,
        again: Service,
        *,
        revision: Callable[[str, str], str | None],
        idempotent: Callable[[InferRequest], bool],
        total: float,
        idle: float,
        rng: Callable[[], float],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.stores = stores
        self.counts = Counts()
        self.verifier = Verifier(again, clock)
        self._revision = revision
        self._idempotent = idempotent
        self._total = total
        self._idle = idle
        self._rng = rng
        self._clock = clock
        self._wall = wall
        self._flights: dict[bytes, Flight] = {}

    @property
    def in_flight(self) -> int:
        """Executions that others may wait for."""
        return len(self._flights)

    @property
    def waiting(self) -> int:
        """Requests that wait for one of them, or read it."""
        return sum(len(flight.readers) for flight in self._flights.values())

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        # No coroutine of its own for the many requests of routes that keep nothing.
        context = request.context
        route, target = context.route, context.target
        if route is None or route.spec.cache is None or target is None or context.shadow:
            return service(request)
        rule = route.spec.cache
        asked = directives(context.headers)
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
        for flight in list(self._flights.values()):
            flight.interrupt()
        await self.verifier.close()
        if self.stores.shared is not None:
            await self.stores.shared.close()

    def _unfit(self, request: InferRequest, rule: Cache, asked: Directives) -> Bypass | None:
        if asked.no_store:
            return "no-store"
        if request.parameters and "sequence_id" in request.parameters:
            return "sequence"  # whose answer depends on those before
        if not rule.sampled and drawn(request):
            return "sampled"
        if size_of(request.payload) > self.stores.most:
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
            self.verifier.check(query.request, entry, patience, self._verified(query))
        return _replay(decode(entry))

    async def _alone(self, query: Query, service: Service) -> Reply:
        timeline = query.request.context.timeline
        timeline.cache = "miss"
        try:
            reply, age = await self._fetch(query, service)
            if age is not None:
                timeline.cache, timeline.cache_age = "hit", age
            return reply
        finally:
            self._count(query)

    async def _together(self, query: Query, service: Service) -> Reply:
        context = query.request.context
        timeline = context.timeline
        flight = self._flights.get(query.key)
        if flight is not None and flight.suits(context, self._clock()):
            timeline.cache = "coalesced"
        else:
            timeline.cache = "miss"
            flight = self._flights[query.key] = self._begin(query, service)
        try:
            reply = await Reader(flight, context).reply(context)
            if flight.age is not None:
                timeline.cache, timeline.cache_age = "hit", flight.age
            return reply
        finally:
            self._count(query)

    def _begin(self, query: Query, service: Service) -> Flight:
        def closed(flight: Flight) -> None:
            if self._flights.get(query.key) is flight:
                del self._flights[query.key]

        return Flight(
            lambda: self._fetch(query, service),
            query.request.context,
            most=self.stores.most,
            idle=query.route.spec.timeouts.idle or self._idle,
            closed=closed,
        )

    async def _fetch(self, query: Query, service: Service) -> tuple[Reply, float | None]:
        """The reply and its age; None where it had to be executed."""
        shared, asked = self.stores.shared, query.asked
        if shared is not None and not asked.no_cache:
            entry = await shared.find(query.key)
            if entry is not None:
                stored, ttl = times(entry)
                age = max(0.0, self._wall() - stored)
                if asked.accept(age, ttl - age):
                    self.stores.memory.keep(query.key, entry, ttl - age)
                    return _replay(decode(entry)), age
        if asked.only_if_cached:
            raise _not_cached()
        reply = await service(query.request)
        return recorded(reply, self.stores.most, self._keeper(query)), None

    async def _observed(self, query: Query, service: Service, found: bytes | None) -> Reply:
        """Executes, and counts what would have been; a kept answer is compared with the new one."""
        query.request.context.timeline.cache = "bypass"
        outcome = "miss" if found is None else "hit"
        self.counts.requests[query.route.name, "observe", outcome] += 1
        ended = self._keeper(query)
        if found is not None:
            told, kept = self._verified(query), found

            def ended(parts: Sequence[Part] | None, why: Unkept | None) -> None:
                if parts is not None:
                    told(same(decode(kept), parts))

        return recorded(await service(query.request), self.stores.most, ended)

    def _keeper(self, query: Query) -> Ended:
        route = query.route.name

        def ended(parts: Sequence[Part] | None, why: Unkept | None) -> None:
            if parts is not None:
                try:
                    entry = encode(parts, self._wall(), query.rule.ttl)
                except Exception as failure:  # an answer is not worth less for not being kept
                    log.debug("an answer can't be kept: %s", type(failure).__name__)
                    why = "form"
                else:
                    why = self._keep(query, entry)
            if why is not None:
                self.counts.unkept[route, why] += 1
            else:
                self.counts.kept[route] += 1

        return ended

    def _keep(self, query: Query, entry: bytes) -> Unkept | None:
        """Keeps the entry, or says why not."""
        stores, ttl = self.stores, query.rule.ttl
        # While it was executed another revision may have been loaded, which may have answered.
        if self._revision(query.target.model, query.target.version) != query.revision:
            return "revision"
        if len(entry) > stores.most or not stores.memory.keep(query.key, entry, ttl):
            return "size"
        if stores.shared is not None and query.rule.mode == "enforce":
            stores.shared.keep(query.key, entry, ttl)
        return None

    def _verified(self, query: Query) -> Callable[[bool], None]:
        def told(right: bool) -> None:
            if self._revision(query.target.model, query.target.version) != query.revision:
                return
            self.counts.verified[query.route.name] += 1
            if right:
                return
            self.counts.wrong[query.route.name] += 1
            self.stores.memory.forget(query.key)
            if self.stores.shared is not None:
                self.stores.shared.forget(query.key)

        return told

    def _count(self, query: Query) -> None:
        name, mode = query.route.name, query.rule.mode
        self.counts.requests[name, mode, query.request.context.timeline.cache] += 1

    def __repr__(self) -> str:
        return f"<ResponseCache {self.stores.memory}, {self.in_flight} in flight>"


class _Parts(AsyncIterator[Part]):
    """The parts of a kept reply after the first."""

    __slots__ = ("_parts",)

    def __init__(self, parts: list[Part]) -> None:
        self._parts = iter(parts)

    async def __anext__(self) -> Part:
        for part in self._parts:
            return part
        raise StopAsyncIteration


def _replay(parts: list[Part]) -> Reply:
    if len(parts) == 1:
        return Reply(parts[0])
    return Reply(parts[0], _Parts(parts[1:]))


def _not_cached() -> PenstockError:
    return PenstockError(Kind.NOT_CACHED, "no answer is kept, and Cache-Control forbids others")
