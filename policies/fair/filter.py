"""The filter that shares models fairly between tenants when they are asked for too much.

Stands below the cache, whose answers need no device, and above mirror, circuit and retry: copies
are detached from what they copy, and a request has one place however often it is tried. While a
model has places, it costs a few additions.

Each worker knows its own requests alone. The endpoints' queues, which all workers fill, are what
its bounds follow, so that they share the endpoints; the backends' own fairness between tenants is
the second line.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from math import inf

from policies.fair.admission import Admission, Counts
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
Turn = asyncio.Future[None]


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
        flow = model.queue.flow(tenant) or model.flow(tenant)
        work = 0.0
        if model.in_flight < model.bound.value and not model.queue.waiting:
            model.enter(flow)
        else:
            work = await self._saturated(model, flow, request)
        try:
            reply = await service(request)
        except BaseException:
            self._leave(model, flow)
            raise
        if reply.rest is not None:
            close = partial(self._close, model, flow, request, reply, work)
            return Reply(reply.first, reply.rest, close)
        if work or model.in_flight * 2 >= model.bound.value:
            self._observe(model, flow, request, reply, work)
        self._leave(model, flow)
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

    async def _saturated(self, model: Admission, flow: Flow, request: InferRequest) -> float:
        """Returns when the request goes on, with the device seconds that it was charged for."""
        work = model.estimate(rows(request.payload))
        if model.passes(flow):
            model.queue.charge(flow, work)
            model.enter(flow)
            return work
        if not self._enforced:
            model.count_queued()
            model.enter(flow)
            return 0.0
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
            await self._turn(model, ticket)
        except PenstockError:
            context.timeline.refused = NAME
            raise
        context.timeline.mark(NAME, self._clock())
        return work

    async def _turn(self, model: Admission, ticket: Ticket) -> None:
        turn = self._turns[ticket] = asyncio.get_running_loop().create_future()
        timer = None
        if ticket.deadline < inf:
            timer = self._call_at(ticket.deadline, partial(self._expire, model, ticket))
        try:
            await turn
        except asyncio.CancelledError:
            if self._turns.pop(ticket, None) is not None:
                model.queue.remove(ticket)
            elif not turn.cancelled() and turn.exception() is None:
                self._leave(model, ticket.flow)  # its turn came, and nobody is left to take it
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _expire(self, model: Admission, ticket: Ticket) -> None:
        if model.queue.remove(ticket):
            self._refuse(ticket, model.refusal(ticket.flow, "deadline"))

    def _leave(self, model: Admission, flow: Flow) -> None:
        model.leave(flow)
        if not model.queue.waiting:
            return
        now = self._clock()
        while (found := model.next(now)) is not None:
            ticket, goes = found
            if not goes:
                self._refuse(ticket, model.refusal(ticket.flow, "deadline"))
                continue
            turn = self._turns.pop(ticket)
            if turn.done():  # cancelled, and not yet taken out
                model.queue.correct(ticket.flow, -ticket.work)
                model.leave(ticket.flow)
            else:
                turn.set_result(None)

    def _refuse(self, ticket: Ticket, refusal: PenstockError) -> None:
        turn = self._turns.pop(ticket)
        if not turn.done():
            turn.set_exception(refusal)

    def _close(
        self, model: Admission, flow: Flow, request: InferRequest, reply: Reply, work: float
    ) -> None:
        try:
            reply.on_close()
        finally:
            self._observe(model, flow, request, reply, work)
            self._leave(model, flow)

    def _observe(
        self, model: Admission, flow: Flow, request: InferRequest, reply: Reply, work: float
    ) -> None:
        """Learns from an answer, and charges what it has really used."""
        timeline, first, now = request.context.timeline, reply.first, self._clock()
        if not timeline.began:
            return
        compute, batch_rows, own = first.compute_us / 1e6, first.batch_rows, rows(request.payload)
        used = timeline.used.device_seconds
        if reply.rest is not None:
            # A stream shares the device with the others for as long as it lasts.
            compute, batch_rows = (now - timeline.began) / model.in_flight, own
            used = used or compute
        if work:
            model.queue.correct(flow, used - work)
        model.bound.observe(
            now,
            Answer(
                model.in_flight,
                timeline.began,
                first.queue_us / 1e6,
                compute,
                used,
                own,
                batch_rows,
                timeline.instances[-1] if timeline.instances else "",
            ),
        )

    def _learn(self, request: InferRequest) -> Admission:
        if len(self._models) >= MODELS:
            self._models = {key: model for key, model in self._models.items() if model.in_flight}
        model = Admission(request.model, self._settings, self._share, self.counts)
        self._models[request.model, request.version] = model
        return model

    def __repr__(self) -> str:
        return f"<Fair {self.waiting().total()} waiting>"
