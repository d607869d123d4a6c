"""Bounds what is in flight to one arm of a route, and refuses the rest at once.

An arm that has become slow fills up; without a bound its requests would take the worker's memory
and connections from all other models (Envoy's circuit breakers, Nygard's bulkheads).

Stands above retry and counts requests, not attempts: that its arm is full would be as true at the
next attempt, and a request that is refused here costs no retry.
"""

from collections.abc import Callable

from protos.errors import Kind, PenstockError
from protos.service import Reply, Service
from protos.values import InferRequest

RETRY_AFTER = 1.0  # seconds

Arm = tuple[str, str]  # names of the route and of its arm; of model and version without a route


class Circuit:
    """The filter. A streamed reply counts until it is closed."""

    def __init__(self) -> None:
        self._in_flight: dict[Arm, int] = {}
        self.refusals = 0

    def in_flight(self, route: str, arm: str) -> int:
        return self._in_flight.get((route, arm), 0)

    async def __call__(self, request: InferRequest, service: Service) -> Reply:
        context = request.context
        route, target = context.route, context.target
        if route is None or target is None:
            return await service(request)
        arm = (request.model, request.version) if route.implicit else (route.name, target.arm)
        present = self._in_flight.get(arm, 0)
        if present >= route.spec.circuit.max_in_flight:
            self.refusals += 1
            raise PenstockError(
                Kind.OVERLOADED,
                f'too many requests are in flight to model "{request.model}"',
                retry_after=RETRY_AFTER,
            )
        self._in_flight[arm] = present + 1
        try:
            reply = await service(request)
        except BaseException:
            self._leave(arm)
            raise
        if reply.rest is None:
            self._leave(arm)
            return reply
        return Reply(reply.first, reply.rest, self._closing(arm, reply.on_close))

    def _closing(self, arm: Arm, on_close: Callable[[], None]) -> Callable[[], None]:
        def close() -> None:
            try:
                on_close()
            finally:
                self._leave(arm)

        return close

    def _leave(self, arm: Arm) -> None:
        # Arms without requests are forgotten: routes come and go.
        left = self._in_flight[arm] - 1
        if left:
            self._in_flight[arm] = left
        else:
            del self._in_flight[arm]

    def __repr__(self) -> str:
        return f"<Circuit {self._in_flight}>"
