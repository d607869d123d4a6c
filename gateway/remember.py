"""The filter that tells the decision log where a request went, whatever became of it."""

import time
from collections.abc import Callable

from protos.errors import PenstockError
from protos.service import Reply, Service
from protos.values import InferRequest

# (the request as the client made it, HTTP status, when its fate was known)
Observe = Callable[[InferRequest, int, float], None]

GAVE_UP = 499  # nginx's number for a client that went away


class Remember:
    """Stands above limits, so that their refusals are remembered, and below authorise."""

    def __init__(self, observe: Observe) -> None:
        self._observe = observe

    async def __call__(self, request: InferRequest, service: Service) -> Reply:
        code = GAVE_UP
        try:
            reply = await service(request)
            code = 200
            return reply
        except PenstockError as error:
            code = error.row.http
            raise
        finally:
            self._observe(request, code, time.monotonic())
