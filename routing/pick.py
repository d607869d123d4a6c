"""Picks the endpoint of a call: few endpoints a worker, and all calls of a turn to the same one.

Frames are what costs on a stream, not calls, so calls that became ready in one turn of the event
loop stay together: the first takes the endpoint that costs it least, the others follow it while its
cost stays near that. Measured (benchmarks/experiments/README.md): this costs within 15 % of a
single endpoint where even spreading over sixteen costs five times as much, and, unlike filling one
endpoint to a fixed count, doesn't lengthen queues.

Of an aperture of more than three, the better of two random ones is taken (Mitzenmacher 2001): beats
are up to a second old, and with old figures the least of all is the same one for every worker,
which then is the most loaded one; besides, it costs the same over any number. Up to three all are
compared: there the worker's own calls in flight are most of what it knows, a third look costs
0.7 µs, and two random ones would send each third turn to no better than the second best, such as
one of two slow endpoints.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from math import inf

from protos.errors import Kind, PenstockError, name_of
from protos.prefixes import prefixes_of
from protos.service import Reply
from protos.timeline import Attempt
from protos.trace_context import is_sampled, new_span_id
from protos.values import InferRequest
from routing.affinity import Affinity
from routing.aperture import MIN_APERTURE, Aperture
from routing.breaker import Verdict
from routing.endpoint import Endpoint, ModelKey
from routing.endpoints import EndpointTable
from routing.outlier import Outliers
from routing.resolve import not_ready

# Following the turn's first call may cost a call this much more waiting than the best alternative.
FOLLOW_AT_MOST = 0.002  # seconds
PANIC_SHARE = 0.5
# How soon a suspect asks again where another worker's or gateway's is tried.
AGAIN = 0.02  # seconds


class Pick:
    """The service at the bottom of the stack: hands the request to an endpoint's exchange."""

    def __init__(
        self,
        table: EndpointTable,
        worker: str,
        clock: Callable[[], float],
        call_soon: Callable[[Callable[[], None]], object],
        rng: random.Random | None = None,
    ) -> None:
        self._table = table
        self._worker = worker
        self._clock = clock
        self._call_soon = call_soon
        self._rng = rng or random.Random()  # noqa: S311 (no secret)
        self.affinity = Affinity()
        self._apertures: dict[ModelKey, Aperture] = {}
        self._turn: dict[ModelKey, tuple[Endpoint, float]] = {}
        self.outliers = Outliers()
        self.panics = 0

    async def __call__(self, request: InferRequest) -> Reply:
        endpoint = self.choose(request)
        context = request.context
        timeline = context.timeline
        timeline.instances.append(endpoint.instance)
        attempt = Attempt(
            endpoint.instance,
            context.target,
            len(timeline.instances),
            self._clock(),
            new_span_id() if is_sampled(context.traceparent) else 0,
            context.shadow,
            context.suspect,
            context.inner,
        )
        timeline.attempts.append(attempt)
        try:
            if not context.suspect:
                reply = await endpoint(request)
            else:
                reply = await self._alone(endpoint, request)
        except BaseException as error:
            attempt.end(self._clock(), name_of(error))
            self._failed(endpoint, request)
            raise
        if self.outliers.troubled:  # which it is while a probe is on its way
            self._answered(endpoint, request)
        return reply

    async def _alone(self, endpoint: Endpoint, request: InferRequest) -> Reply:
        """One suspect at a time: if the endpoint dies again, it is known who was there.

        Other workers' and gateways' suspects are waited for, too: the backend knows of them.
        """
        async with endpoint.suspect_turn:
            while True:
                if endpoint.left:
                    raise PenstockError(Kind.UNAVAILABLE, "the backend left meanwhile")
                try:
                    return await endpoint(request)
                except PenstockError as refusal:
                    if refusal.kind is not Kind.OCCUPIED:
                        raise
                await asyncio.sleep(AGAIN)

    def has_elsewhere(self, request: InferRequest) -> bool:
        """Whether there is a usable endpoint that this request hasn't been to."""
        tried = request.context.timeline.instances
        key = (request.model, request.version)
        serving = self._table.serving(*key)
        return any(e.instance not in tried for e in self._in_service(key, serving))

    def choose(self, request: InferRequest) -> Endpoint:
        """The endpoint for this attempt; raises UNAVAILABLE when there is none to be had."""
        key = (request.model, request.version)
        tried = request.context.timeline.instances
        if tried:
            return self._elsewhere(key, tried)
        now = self._clock()
        if key in self.outliers.troubled and (probe := self._probe(key, request, now)) is not None:
            return probe
        if key in self._table.keeping:
            return self._keeper(key, request, now)
        return self._soonest(key, now)

    def _keeper(self, key: ModelKey, request: InferRequest, now: float) -> Endpoint:
        """For a model whose endpoints keep prompts: whoever has this one's beginning, if it pays.

        All endpoints are compared, whosever aperture they are in, since two random ones would
        mostly miss the one that has it. Nobody follows: others of this turn have theirs elsewhere.
        """
        prefixes = prefixes_of(request.payload, request.context.principal.tenant, request.model)
        usable = self._usable(key, self._table.serving(*key))
        endpoint = self.affinity.choose(usable, request.model, prefixes, now)
        if endpoint is None:
            endpoint = self._soonest(key, now)
        endpoint.kept.sent(prefixes)
        return endpoint

    def _soonest(self, key: ModelKey, now: float) -> Endpoint:
        following = self._turn.get(key)
        if following is not None:
            endpoint, bound = following
            if endpoint.usable and endpoint.cost(now) <= bound:
                return endpoint
        elif not self._turn:
            self._call_soon(self._turn.clear)
        endpoint = self._cheapest(self._candidates(key, now), now)
        self._turn[key] = (endpoint, endpoint.cost(now) + FOLLOW_AT_MOST)
        return endpoint

    def _candidates(self, key: ModelKey, now: float) -> Sequence[Endpoint]:
        """Whom to compare: all of a few, else two at random; raises UNAVAILABLE without any."""
        serving = self._table.serving(*key)
        if not serving:
            raise not_ready(*key)
        if len(serving) <= MIN_APERTURE:
            return self._usable(key, serving)
        subset = self._aperture(key).subset(serving, now)
        if len(subset) > MIN_APERTURE and key not in self.outliers.troubled:
            two = self._two(subset)
            if two[0].usable and two[1].usable:
                return two
        return self._in_service(key, subset) or self._usable(key, serving)

    def _aperture(self, key: ModelKey) -> Aperture:
        aperture = self._apertures.get(key)
        if aperture is None:
            # Models come and go: a new one is the occasion to forget those that are gone.
            for each in [each for each in self._apertures if not self._table.serving(*each)]:
                del self._apertures[each]
            aperture = self._apertures[key] = Aperture(self._worker)
        return aperture

    def _in_service(self, key: ModelKey, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
        if key in self.outliers.troubled:
            excludes = self.outliers.excludes
            return [e for e in endpoints if e.usable and not excludes(e, key)]
        return [e for e in endpoints if e.usable]

    def _usable(self, key: ModelKey, serving: Sequence[Endpoint]) -> Sequence[Endpoint]:
        usable = self._in_service(key, serving)
        if len(usable) >= PANIC_SHARE * len(serving):
            return usable
        # Panic (Envoy's term): so much is bad at once that the signs are doubted, not the servers.
        self.panics += 1
        possible = [e for e in serving if e.possible]
        if not possible:
            raise PenstockError(
                Kind.UNAVAILABLE,
                f'no backend of model "{key[0]}" can be reached at the moment',
                retry_after=1.0,
            )
        return possible

    def _elsewhere(self, key: ModelKey, tried: list[str]) -> Endpoint:
        """For another attempt: anybody who wasn't asked yet, else anybody."""
        serving = self._table.serving(*key)
        if not serving:
            raise not_ready(*key)
        usable = self._usable(key, serving)
        fresh = [e for e in usable if e.instance not in tried]
        return self._cheapest(fresh or usable, self._clock())

    def _cheapest(self, endpoints: Sequence[Endpoint], now: float) -> Endpoint:
        if len(endpoints) == 1:
            return endpoints[0]
        if len(endpoints) > MIN_APERTURE:
            endpoints = self._two(endpoints)
        best, least = endpoints[0], inf
        for endpoint in endpoints:
            cost = endpoint.cost(now)
            if cost < least or (cost == least and _fewer(endpoint, best)):
                best, least = endpoint, cost
        return best

    def _two(self, endpoints: Sequence[Endpoint]) -> tuple[Endpoint, Endpoint]:
        number = len(endpoints)
        first = int(self._rng.random() * number)
        second = int(self._rng.random() * (number - 1))
        return endpoints[first], endpoints[second + (second >= first)]

    def _probe(self, key: ModelKey, request: InferRequest, now: float) -> Endpoint | None:
        """An ejected endpoint whose time is over; this request finds out how it is."""
        if request.context.suspect or request.context.shadow:
            return None
        endpoint = self.outliers.due(key, self._table.serving(*key), now)
        if endpoint is not None:
            endpoint.breakers[key].begin_probe(request)
        return endpoint

    def _answered(self, endpoint: Endpoint, request: InferRequest) -> None:
        breaker = endpoint.breakers.get((request.model, request.version))
        if breaker is not None and breaker.probe is request:
            breaker.end_probe(breaker.last, self._clock())

    def _failed(self, endpoint: Endpoint, request: InferRequest) -> None:
        key = (request.model, request.version)
        breaker = endpoint.breakers.get(key)
        if breaker is None or request.context.shadow:
            return
        if breaker.probe is request:
            breaker.end_probe(breaker.last, self._clock())
        elif breaker.last is Verdict.BAD or breaker.last is Verdict.MODEL:
            peers = self._table.serving(*key)
            if self.outliers.judge(endpoint, key, peers, self._clock()):
                self._turn.pop(key, None)

    def __repr__(self) -> str:
        return f"<Pick {self._worker}, {len(self._apertures)} apertures>"


def _fewer(one: Endpoint, other: Endpoint) -> bool:
    return one.exchange.in_flight < other.exchange.in_flight
