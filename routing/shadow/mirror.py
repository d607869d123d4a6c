"""Sends copies of requests to candidates whose answers nobody waits for (shadow traffic).

Stands below the split, which says what the primary is, and the cache, whose answers are no
evidence; above retry, so that a primary is one request however often it is tried. It works on
values, so all faces and models are alike to it.

The primary comes first. Its coroutine goes on without a pause to the exchange, whose writer wakes
in the next turn of the event loop; the copies are prepared in that turn, and their tasks begin
after the writer. The primary awaits nothing of a copy; of its answer is remembered what passes
(routing/shadow/capture.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from protos.errors import Kind, PenstockError
from protos.exchange_objects import bytes_of
from protos.route.mirror import Mirror as Rule
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply, Service
from protos.timeline import Target, Timeline
from protos.values import Context, InferRequest
from routing.poison import Poison, poisonous
from routing.shadow.capture import NO_ROOM, Capture, kind_of, watched
from routing.shadow.pair import Pair
from routing.shadow.pairing import Pairing
from routing.shadow.sampling import asks_again, chosen, copy_of

log = logging.getLogger(__name__)

FULL = "too many copies are under way"
STOPPING = "the gateway is stopping"
UNSENT = "the copy could not be made"
# (the traceparent of the request that was copied, the copy's own timeline, now)
Copied = Callable[[str, Timeline, float], object]

# So long cancelled copies may take to end, and waiting pairs to be compared.
CLOSING = 1.0  # seconds


def untold(traceparent: str, timeline: Timeline, now: float) -> None:
    """For whoever traces nothing."""


class Mirror:
    """The filter.

    `service` carries the copies; it must not retry. `resolve` gives the exact version of a model or
    raises PenstockError. `idempotent` says whether a request may be executed twice: without that no
    noise floor is measured. `poison` knows inputs that are sent nowhere any more. A copy may take
    `total` seconds unless its route says otherwise. `rng` gives numbers in [0, 1), `clock` is the
    event loop's, `wall` is Unix time. `copied` is told of each copy that is over.
    """

    def __init__(
        self,
        service: Service,
        resolve: Callable[[str, str], str],
        pairing: Pairing,
        *,
        idempotent: Callable[[InferRequest], bool],
        poison: Poison,
        total: float,
        rng: Callable[[], float],
        clock: Callable[[], float],
        wall: Callable[[], float],
        copied: Copied = untold,
    ) -> None:
        self._service = service
        self._resolve = resolve
        self.pairing = pairing
        self._idempotent = idempotent
        self._poison = poison
        # Of copies that were in flight when a backend died. Apart, as only one death is known: what
        # is enough for sending no more copies is not for refusing a client's request.
        self._lost = Poison()
        self._total = total
        self._rng = rng
        self._clock = clock
        self._wall = wall
        self._copied = copied
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Copies under way, those for noise floors included."""
        return len(self._tasks)

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        # No coroutine of its own for the many requests that nothing is copied of.
        route = request.context.route
        if route is None or not route.mirrors or request.context.shadow:
            return service(request)
        if request.context.timeline.fell_back:
            return service(request)  # it was here before
        mirrors = chosen(route.mirrors, self._rng)
        # A sequence is state: some of its requests, in any order, mean nothing to a candidate.
        if not mirrors or self._closed or "sequence_id" in request.parameters:
            return service(request)
        return self._mirrored(request, service, route, mirrors)

    async def drain(self, patience: float) -> None:
        """Copies nothing more, and waits so many seconds at most for the copies under way."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)

    async def close(self) -> None:
        """Cancels what is under way and ends the comparing thread."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING)
        await asyncio.to_thread(self.pairing.close, CLOSING)

    async def _mirrored(
        self, request: InferRequest, service: Service, route: RouteSnapshot, rules: list[Rule]
    ) -> Reply:
        pairs = [self._pair(request, route, rule) for rule in rules]
        asyncio.get_running_loop().call_soon(self._send_all, request, pairs)
        captures = [pair.primary for pair in pairs]
        try:
            reply = await service(request)
        except BaseException as error:
            now = self._clock()
            for capture in captures:
                capture.end(now, kind_of(error))
            raise
        return watched(reply, captures, self._clock)

    def _pair(self, request: InferRequest, route: RouteSnapshot, rule: Rule) -> Pair:
        pairing = self.pairing
        counts = pairing.counts_of(route.name, rule.backend)
        pair = Pair(route, rule, counts, self._wall(), pairing.submit)
        timeline = request.context.timeline
        pair.primary = Capture(pairing.room, timeline, self._clock(), pair.ended)
        return pair

    def _send_all(self, request: InferRequest, pairs: list[Pair]) -> None:
        for pair in pairs:
            pair.describe(request)
            try:
                self._send(request, pair)
            except Exception:
                log.exception("a request of route %s could not be mirrored", pair.route.name)
                pair.drop(UNSENT)
            pair.ended()

    def _send(self, request: InferRequest, pair: Pair) -> None:
        """Sends the copies of one pair, or notes in it why not."""
        rule, primary = pair.rule, request.context.target
        try:
            pair.version = self._resolve(rule.model, rule.version)
        except PenstockError as error:
            pair.version = rule.version
            return self._fail(pair, error)
        target = Target(rule.backend, rule.model, pair.version)
        size = bytes_of(request.payload)
        if _same(target, primary) and len(pair.route.arms) > 1:
            pair.forget()  # the candidate is the primary; with a single arm that is an A/A test
        elif pair.primary.error:
            pass  # nothing to compare with, as the record will say
        elif self._closed:
            pair.drop(STOPPING)
        elif _full(pair):
            pair.drop(FULL)
        elif not self.pairing.room.take(size):
            pair.drop(NO_ROOM)
        else:
            pair.held = size
            copy = self._copy(request, target, pair)
            if self._deadly(copy):
                return self._fail(pair, poisonous())
            pair.counts.sent += 1
            pair.candidate = self._ask(copy, pair)
            if primary is not None and asks_again(rule.compare, primary.arm, self._rng):
                self._measure_noise(self._copy(request, primary, pair), pair)

    def _measure_noise(self, again: InferRequest, pair: Pair) -> None:
        if not _full(pair) and self._idempotent(again) and not self._deadly(again):
            pair.counts.noise_sent += 1
            pair.noise = self._ask(again, pair)

    def _copy(self, request: InferRequest, target: Target, pair: Pair) -> InferRequest:
        return copy_of(request, target, pair.route.spec.timeouts, self._total, self._clock())

    def _deadly(self, copy: InferRequest) -> bool:
        now = self._clock()
        return self._lost.holds(copy, now) or self._poison.holds(copy, now)

    def _fail(self, pair: Pair, error: PenstockError) -> None:
        """The candidate failed without being asked."""
        now = self._clock()
        pair.candidate = self._awaited(pair, Timeline(now))
        pair.candidate.end(now, kind_of(error))

    def _ask(self, request: InferRequest, pair: Pair) -> Capture:
        """Sends one copy, in a task that nothing but `close` cancels."""
        capture = self._awaited(pair, request.context.timeline)
        pair.counts.in_flight += 1
        name = f"copy to {request.model}"
        task = asyncio.get_running_loop().create_task(self._receive(request, capture), name=name)
        self._tasks.add(task)
        # Not at the end of the coroutine: a task that is cancelled at once never begins.
        task.add_done_callback(partial(self._returned, pair, capture, request.context))
        return capture

    def _awaited(self, pair: Pair, timeline: Timeline) -> Capture:
        pair.open += 1
        return Capture(self.pairing.room, timeline, timeline.start, pair.ended)

    async def _receive(self, request: InferRequest, capture: Capture) -> None:
        clock = self._clock
        try:
            # What carries the copies keeps deadlines too; that all copies end is too important to
            # depend on it.
            async with asyncio.timeout_at(request.context.deadline):
                reply = await self._service(request)
                try:
                    capture.take(reply.first, clock())
                    if reply.rest is not None:
                        async for part in reply.rest:
                            capture.take(part, clock())
                            if capture.missing:
                                break
                finally:
                    reply.on_close()
            capture.end(clock())
        except TimeoutError:
            capture.end(clock(), "deadline")
        except PenstockError as error:
            if error.kind is Kind.LOST:
                self._lost.add(request, clock())
            capture.end(clock(), kind_of(error))
        except Exception as error:
            log.exception("a copy of a request failed")
            capture.end(clock(), kind_of(error))

    def _returned(
        self, pair: Pair, capture: Capture, context: Context, task: asyncio.Task[None]
    ) -> None:
        self._tasks.discard(task)
        self._copied(context.traceparent, context.timeline, self._clock())
        pair.counts.in_flight -= 1
        if not capture.done:
            pair.drop(STOPPING)
            capture.end(self._clock(), "cancelled")

    def __repr__(self) -> str:
        return f"<Mirror {self.in_flight} in flight, {self.pairing.room}>"


def _full(pair: Pair) -> bool:
    return pair.counts.in_flight >= pair.rule.max_in_flight


def _same(target: Target, primary: Target | None) -> bool:
    return primary is not None and (target.model, target.version) == (
        primary.model,
        primary.version,
    )
