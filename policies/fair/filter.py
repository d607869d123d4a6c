"""The filter that shares models fairly between tenants when they are asked for too much.

Stands below the cache, whose answers need no device, and above mirror, circuit and retry: copies
are detached from what they copy, and a request has one place however often it is tried. While a
model has places, it costs a few additions.

What the gateway asks by itself for a request that has a place (a judgement of its answer) never
waits for one: requests that hold places would wait for each other.

Each worker knows its own requests alone. The endpoints' queues, which all workers fill, are what
its bounds follow, so that they share the endpoints; the backends' own fairness between tenants is
the second line.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from math import inf

from policies.fair.admission import FREE, Admission, Counts, Place
from policies.fair.bound import Answer
from policies.fair.queue import Flow, Ticket
from policies.fair.settings import Fairness
from protos.errors import PenstockError
from protos.exchange_objects import bytes_of
from protos.service import Reply, Service
from protos.usage import rows
from protos.values import InferRequest

NAME = "fair"
MODELS = 1024  # beyond that those without requests are forgotten
DEFAULT_PRIORITY = 2  # what backends take 0 for, unless the model says otherwise

CallAt = Callable[[float, Callable[[], None]], asyncio.TimerHandle]
Turn = asyncio.Future[Place]


class Fair:
    """The filter. `share`: the part of all endpoints that is this worker's.

    `clock` and `call_at` are the event loop's.
    """

    def __init__(
        self, settings: Fairness, share: float, clock: Callable[[], float], call_at: CallAt
    ) -> None:
        self._settings = settings
        self._enforced = settings.mode == "enforce"
        self._share = share
        self._clock = clock
        self._call_at = call_at
        self._models: dict[tuple[str, str], Admission] = {}
        self._turns: dict[Ticket, Turn] = {}  # of those that wait
        self.counts = Counts()

    async def __call__(self, request: InferRequest, service: Service) -> Reply:
        model = self._models.get((request.model, request.version)) or self._learn(request)
        tenant = request.context.principal.tenant
        flow = model.flows.get(tenant) or model.flow(tenant)
        place = FREE
        free = model.in_flight < model.bound.value and not model.queue.waiting
        if free or request.context.inner:
            model.enter(flow)
        else:
            place = await self._saturated(model, flow, request)
        try:
            reply = await service(request)
        except BaseException:
            self._leave(model, flow, place)
            raise
        if place is not FREE or model.in_flight * 2 >= model.bound.value:
            self._observe(model, request, reply)
            if reply.rest is None:
                self._account(model, flow, request, reply, place)
        if reply.rest is not None:
            close = partial(self._close, model, flow, request, reply, place)
            return Reply(reply.first, reply.rest, close)
        model.leave(flow, place)
        if model.queue.waiting:
            self._go_on(model, flow)
        return reply

    def bounds(self) -> Counter[str]:
        """How many requests may be in flight, by model."""
        found: Counter[str] = Counter()
        for (name, _), model in self._models.items():
            found[name] += model.bound.value
        return found

    def waiting(self) -> Counter[str]:
        """How many requests wait now, by model."""
        found: Counter[str] = Counter()
        for (name, _), model in self._models.items():
            found[name] += model.queue.waiting
        return found

    async def _saturated(self, model: Admission, flow: Flow, request: InferRequest) -> Place:
        """Returns when the request goes on."""
        work = model.estimate(rows(request.payload))
        if model.passes(flow):
            place = Place(work, extra=True)
            model.queue.charge(flow, work)
            model.enter(flow, place)
            return place
        if not self._enforced:
            model.count_queued()
            model.enter(flow)
            return FREE
        context = request.context
        ticket = Ticket(
            flow,
            work,
            context.priority or DEFAULT_PRIORITY,
            min(context.deadline, context.first_deadline),
            max(bytes_of(request.payload), model.least_size),
        )
        try:
            for each in model.wait(ticket, self._clock()):
                self._refuse(each, model.refusal(each.flow, "total"))
            place = await self._turn(model, ticket)
        except PenstockError:
            context.timeline.refused = NAME
            raise
        context.timeline.mark(NAME, self._clock())
        return place

    async def _turn(self, model: Admission, ticket: Ticket) -> Place:
        turn: Turn = asyncio.get_running_loop().create_future()
        self._turns[ticket] = turn
        timer = None
        if ticket.deadline < inf:
            timer = self._call_at(ticket.deadline, partial(self._expire, model, ticket))
        try:
            return await turn
        except asyncio.CancelledError:
            if self._turns.pop(ticket, None) is not None:
                model.queue.remove(ticket)
            elif not turn.cancelled() and turn.exception() is None:
                # Its turn came, and nobody is left to take it.
                self._leave(model, ticket.flow, turn.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _expire(self, model: Admission, ticket: Ticket) -> None:
        if model.queue.remove(ticket):
            self._refuse(ticket, model.refusal(ticket.flow, "deadline"))

    def _leave(self, model: Admission, flow: Flow, place: Place) -> None:
        model.leave(flow, place)
        if model.queue.waiting:
            self._go_on(model, flow)

    def _go_on(self, model: Admission, flow: Flow) -> None:
        """Gives away what is free now that a request of the tenant's has ended."""
        now = self._clock()
        while (found := model.next(now, flow)) is not None:
            ticket, given = found
            if given is None:
                self._refuse(ticket, model.refusal(ticket.flow, "deadline"))
                continue
            turn = self._turns.pop(ticket)
            if turn.done():  # cancelled, and not yet taken out
                model.queue.correct(ticket.flow, -ticket.work)
                model.leave(ticket.flow, given)
            else:
                turn.set_result(given)

    def _refuse(self, ticket: Ticket, refusal: PenstockError) -> None:
        turn = self._turns.pop(ticket)
        if not turn.done():
            turn.set_exception(refusal)

    def _close(
        self, model: Admission, flow: Flow, request: InferRequest, reply: Reply, place: Place
    ) -> None:
        try:
            reply.on_close()
        finally:
            self._account(model, flow, request, reply, place)
            self._leave(model, flow, place)

    def _observe(self, model: Admission, request: InferRequest, reply: Reply) -> None:
        """Learns from the first part of an answer."""
        timeline, first = request.context.timeline, reply.first
        if not timeline.began:
            return  # nobody was asked
        together = first.batch_rows / rows(request.payload)
        answer = Answer(
            model.in_flight,
            timeline.began,
            first.queue_us / 1e6,
            first.compute_us / 1e6,
            together,
            timeline.instances[-1],
            reply.rest is not None,
        )
        model.observe(self._clock(), answer)

    def _account(
        self, model: Admission, flow: Flow, request: InferRequest, reply: Reply, place: Place
    ) -> None:
        """Charges what the request has really used."""
        timeline = request.context.timeline
        used = timeline.used.device_seconds
        if reply.rest is not None and timeline.began:
            held = self._clock() - timeline.began
            model.bound.held(held)
            # Where it isn't told: streams share the device for as long as they last.
            used = used or held / model.in_flight
        if used:
            model.account(flow, place, used, rows(request.payload))

    def _learn(self, request: InferRequest) -> Admission:
        if len(self._models) >= MODELS:
            self._models = {key: model for key, model in self._models.items() if model.in_flight}
        model = Admission(request.model, self._settings, self._share, self.counts)
        self._models[request.model, request.version] = model
        return model

    def __repr__(self) -> str:
        return f"<Fair {self.waiting().total()} waiting>"
