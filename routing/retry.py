"""Sends a request elsewhere when its backend died or refused it, within a budget.

Stands above picking, so that a retry can go elsewhere, and can't retry after the first part of a
reply: the service returns when that part exists. The budget follows Finagle's RetryBudget: each
request deposits a fraction of a retry, and a reserve lets quiet services retry too.

A call that no batch held goes elsewhere once at no cost, if it is answered there. Such calls have a
budget of their own that gets back what was answered: one backend that drains or dies sends away any
number of calls, and when all refuse, no more than the budget's share is asked twice.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from protos.errors import Kind, PenstockError
from protos.service import Reply, Service
from protos.values import InferRequest
from routing.poison import Poison, poisonous

MAX_ATTEMPTS = 3
MOST_ROUTES = 1024  # whose budgets are kept though nothing was taken from them lately
# Retries that a quiet route may make at once, and how soon it may again: what fails everywhere is
# asked little more often than it comes.
RESERVE = 3.0
REFILL = 0.1  # a second
# What requests deposit can be spent for so long. A service that was well for hours must not have
# everything asked twice when it fails, and one bad backend of a busy one costs nobody an answer.
KEPT = 1.0  # seconds
# Calls that may be on their way elsewhere at once when they come back from a backend that drains.
REQUEUE_RESERVE = 50.0
REQUEUE_REFILL = 2.0  # a second
# Calls of dead streams that may wait to be repeated: what four endpoints can have in flight. More
# would mean streams that die over and over, and repeating for ever.
MOST_LOST = 16_384.0


class Budget:
    """Retries that may still be made: `share` of the requests plus a reserve that refills."""

    __slots__ = (
        "_at",
        "_balance",
        "_began",
        "_earned",
        "_limit",
        "_raised",
        "_refill",
        "_reserve",
        "share",
    )

    def __init__(
        self, now: float, share: float = 0.1, reserve: float = RESERVE, refill: float = REFILL
    ) -> None:
        self.share = share
        self._reserve = reserve
        self._refill = refill  # retries a second up to the reserve
        self._balance = reserve
        self._at = now
        self._began = now
        self._earned = 0.0  # in this second
        self._limit = reserve  # of the balance: with what the second before earned
        self._raised = False

    def deposit(self, now: float) -> None:
        if now - self._began >= KEPT:
            self._forget(now)
        self._earned += self.share
        balance = self._balance
        if balance < self._limit or balance < self._reserve + self._earned:
            self._balance = balance + self.share

    def withdraw(self, now: float) -> bool:
        if self._balance < self._reserve:
            gained = (now - self._at) * self._refill
            self._balance = min(self._reserve, self._balance + gained)
        self._at = now
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True

    def refund(self) -> None:
        """Gives back what a withdrawal took, since it came to a good end."""
        most = max(self._balance, self._limit, self._reserve + self._earned)
        self._balance = min(most, self._balance + 1.0)

    def put_back(self) -> None:
        """Undoes a withdrawal that paid for nothing."""
        self._balance += 1.0

    def reserve_for(self, calls: int) -> None:
        """A dead stream's calls must all fit, or a quiet service would lose them.

        So must those of several that die at once: each adds its own, up to `MOST_LOST`.
        """
        self._balance = max(self._balance, min(self._balance + calls, MOST_LOST))
        self._raised = True

    def restored(self, now: float) -> bool:
        """Whether a new budget in its place would allow no more."""
        return self._balance + (now - self._at) * self._refill >= self._reserve

    def _forget(self, now: float) -> None:
        """Begins another second, in which this one's deposits are there still."""
        self._limit = self._reserve + self._earned * KEPT / (now - self._began)
        if not self._raised:  # lost calls may be about to be repeated
            self._balance = min(self._balance, self._limit)
        self._raised = False
        self._began = now
        self._earned = 0.0


class Budgets:
    """A budget for each route document, and `shared`, for requests without one.

    The shared one also pays for calls that were lost with a stream, whatever their route: its
    reserve was raised for exactly these when the stream died.
    """

    def __init__(self, shared: Budget, clock: Callable[[], float]) -> None:
        self.shared = shared
        self._clock = clock
        self._routes: OrderedDict[str, Budget] = OrderedDict()  # the one used last at the end

    def of(self, request: InferRequest) -> Budget:
        route = request.context.route
        if route is None or route.implicit:
            return self.shared
        share = route.spec.retries.budget
        budget = self._routes.get(route.name)
        if budget is None or budget.share != share:
            now = self._clock()
            if len(self._routes) >= MOST_ROUTES:
                self._forget(now)
            # Who writes 0 % wants no retries, so there is no reserve then.
            reserve = RESERVE if share else 0.0
            budget = self._routes[route.name] = Budget(now, share, reserve)
        self._routes.move_to_end(route.name)
        return budget

    def of_lost(self, request: InferRequest) -> Budget:
        """The budget that repeats a call which was lost with its stream."""
        route = request.context.route
        if route is None or route.spec.retries.budget:
            return self.shared
        return self.of(request)

    def _forget(self, now: float) -> None:
        """Makes room, at nobody's gain: a route that has spent its reserve must not get another."""
        excess = len(self._routes) - MOST_ROUTES + 1
        restored = (name for name, budget in self._routes.items() if budget.restored(now))
        for name in list(islice(restored, excess)):
            del self._routes[name]


class Retry:
    """The filter. `idempotent` says whether executing a request twice does no harm.

    `has_elsewhere` says whether there is a usable endpoint that a request hasn't been to: asking
    the one that just refused would only add to its load.
    """

    def __init__(
        self,
        budgets: Budgets,
        poison: Poison,
        idempotent: Callable[[InferRequest], bool],
        has_elsewhere: Callable[[InferRequest], bool],
        clock: Callable[[], float],
    ) -> None:
        self._budgets = budgets
        self._requeues = Budget(clock(), reserve=REQUEUE_RESERVE, refill=REQUEUE_REFILL)
        self.poison = poison
        self._idempotent = idempotent
        self._has_elsewhere = has_elsewhere
        self._clock = clock
        self.retries = 0

    async def __call__(self, request: InferRequest, service: Service) -> Reply:
        now = self._clock()
        if self.poison.holds(request, now):
            raise poisonous()
        budget = self._budgets.of(request)
        budget.deposit(now)
        self._requeues.deposit(now)
        route = request.context.route
        limit = MAX_ATTEMPTS if route is None else 1 + route.spec.retries.max
        paid_by: Budget | None = None
        requeued = False
        attempt = 1
        timeline = request.context.timeline
        asked = 0
        while True:
            try:
                reply = await service(request)
            except PenstockError as error:
                now = self._clock()
                if error.kind is Kind.LOST and request.context.suspect:
                    self.poison.add(request, now)
                    raise poisonous() from error
                if paid_by is not None and len(timeline.instances) == asked:
                    paid_by.put_back()  # nobody was there to be asked; a fallback pays for its own
                asked = len(timeline.instances)
                attempt = max(attempt, asked)  # a hedged attempt was two
                if attempt >= limit:
                    raise
                paid_by = self._pay(request, error, budget, requeued, now)
                if paid_by is None:
                    raise
                requeued = requeued or error.row.retry == "elsewhere"
                attempt += 1
                self.retries += 1
                context = request.context
                request = replace(
                    request,
                    context=replace(context, suspect=context.suspect or error.kind is Kind.LOST),
                )
            else:
                if paid_by is self._requeues:
                    paid_by.refund()
                return reply

    def _pay(
        self,
        request: InferRequest,
        error: PenstockError,
        budget: Budget,
        requeued: bool,
        now: float,
    ) -> Budget | None:
        """The budget that another attempt was paid from, or None if there must be none."""
        if now >= request.context.deadline:
            return None
        match error.row.retry:
            case "elsewhere":
                if not self._has_elsewhere(request):
                    return None
                if not requeued and self._requeues.withdraw(now):
                    return self._requeues
            case "if_idempotent":
                if not self._idempotent(request):
                    return None
                if error.kind in (Kind.LOST, Kind.CUT_OFF):
                    budget = self._budgets.of_lost(request)
            case "never":
                return None
        return budget if budget.withdraw(now) else None
