"""Picks the endpoint of a call: few endpoints a worker, and all calls of a turn to the same one.

Frames are what costs on a stream, not calls, so calls that became ready in one turn of the event
loop stay together: the first takes the endpoint with the least predicted wait, the others follow it
while its wait stays near that. Measured (benchmarks/experiments/README.md): this costs within 15 %
of a single endpoint where even spreading over sixteen costs five times as much, and, unlike filling
one endpoint to a fixed count, doesn't lengthen queues.

The aperture is Finagle's idea: a worker uses a subset of the endpoints, its own by rendezvous
hashing, at least three, growing while all of them have queues.
"""

import asyncio
from collections.abc import Callable
from hashlib import blake2b

from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import InferRequest
from routing.endpoints import Endpoint, EndpointTable
from routing.resolve import not_ready

MIN_APERTURE = 3
# Following the turn's first call may cost a call this much more waiting than the best alternative.
FOLLOW_AT_MOST = 0.002  # seconds
WIDEN_ABOVE = 0.010
NARROW_BELOW = 0.001
ADJUST_EVERY = 0.1
PANIC_SHARE = 0.5

ModelKey = tuple[str, str]


class Aperture:
    """How many endpoints of one model version a worker uses, and in which order of preference."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._order: tuple[Endpoint, ...] = ()
        self._source: tuple[Endpoint, ...] = ()
        self._adjusted = 0.0
        self.width = MIN_APERTURE

    def subset(self, endpoints: tuple[Endpoint, ...], now: float) -> tuple[Endpoint, ...]:
        if len(endpoints) <= MIN_APERTURE:
            return endpoints
        if endpoints is not self._source:
            self._source = endpoints
            self._order = tuple(sorted(endpoints, key=self._rank))
        if now - self._adjusted > ADJUST_EVERY:
            self._adjusted = now
            self._adjust()
        return self._order[: self.width]

    def _adjust(self) -> None:
        waits = [e.predicted_wait() for e in self._order[: self.width] if e.usable]
        if not waits or min(waits) > WIDEN_ABOVE:
            self.width = min(self.width + 1, len(self._order))
        elif max(waits) < NARROW_BELOW:
            self.width = max(self.width - 1, MIN_APERTURE)

    def _rank(self, endpoint: Endpoint) -> bytes:
        return blake2b(f"{self._worker}\0{endpoint.instance}".encode(), digest_size=8).digest()


class Pick:
    """The service at the bottom of the stack: hands the request to an endpoint's exchange."""

    def __init__(
        self,
        table: EndpointTable,
        worker: str,
        clock: Callable[[], float],
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self._table = table
        self._worker = worker
        self._clock = clock
        self._call_soon = call_soon
        self._apertures: dict[ModelKey, Aperture] = {}
        self._turn: dict[ModelKey, tuple[Endpoint, float]] = {}
        self.panics = 0

    async def __call__(self, request: InferRequest) -> Reply:
        endpoint = self.choose(request)
        request.context.timeline.instances.append(endpoint.instance)
        if not request.context.suspect:
            return await endpoint(request)
        # One suspect at a time: if the endpoint dies again, it is known who was there.
        async with endpoint.suspect_turn:
            return await endpoint(request)

    def has_elsewhere(self, request: InferRequest) -> bool:
        """Whether there is a usable endpoint that this request hasn't been to."""
        tried = request.context.timeline.instances
        serving = self._table.serving(request.model, request.version)
        return any(e.usable and e.instance not in tried for e in serving)

    def choose(self, request: InferRequest) -> Endpoint:
        """The endpoint for this attempt; raises UNAVAILABLE when there is none to be had."""
        key = (request.model, request.version)
        tried = request.context.timeline.instances
        if tried:
            return self._elsewhere(key, tried)
        following = self._turn.get(key)
        if following is not None:
            endpoint, bound = following
            if endpoint.usable and endpoint.predicted_wait() <= bound:
                return endpoint
        elif not self._turn:
            self._call_soon(self._turn.clear)
        endpoint = self._least_waiting(self._candidates(key))
        self._turn[key] = (endpoint, endpoint.predicted_wait() + FOLLOW_AT_MOST)
        return endpoint

    def _candidates(self, key: ModelKey) -> tuple[Endpoint, ...]:
        serving = self._table.serving(*key)
        if not serving:
            raise not_ready(*key)
        if len(serving) <= MIN_APERTURE:
            return self._usable(key, serving)
        aperture = self._apertures.get(key)
        if aperture is None:
            aperture = self._apertures[key] = Aperture(self._worker)
        subset = aperture.subset(serving, self._clock())
        return tuple(e for e in subset if e.usable) or self._usable(key, serving)

    def _usable(self, key: ModelKey, serving: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        usable = tuple(e for e in serving if e.usable)
        if len(usable) >= PANIC_SHARE * len(serving):
            return usable
        # Panic (Envoy's term): so much is bad at once that the signs are doubted, not the servers.
        self.panics += 1
        possible = tuple(e for e in serving if e.possible)
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
        fresh = tuple(e for e in usable if e.instance not in tried)
        return self._least_waiting(fresh or usable)

    def _least_waiting(self, endpoints: tuple[Endpoint, ...]) -> Endpoint:
        if len(endpoints) == 1:
            return endpoints[0]
        return min(endpoints, key=_load)

    def __repr__(self) -> str:
        return f"<Pick {self._worker}, {len(self._apertures)} apertures>"


def _load(endpoint: Endpoint) -> tuple[float, int]:
    return endpoint.predicted_wait(), endpoint.exchange.in_flight


def event_loop_turn() -> Callable[[Callable[[], None]], object]:
    """What `Pick` needs to know when a turn of the running event loop is over."""
    return asyncio.get_running_loop().call_soon
