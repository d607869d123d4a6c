"""The filter that tells the decision log where a request went, whatever became of it."""

import logging
import time
from collections.abc import Callable

from protos.errors import TABLE, Kind, PenstockError
from protos.service import Reply, Service
from protos.values import InferRequest

log = logging.getLogger(__name__)

# (the request as the client made it, HTTP status, when its fate was known)
Observe = Callable[[InferRequest, int, float], None]

GAVE_UP = 499  # nginx's number for a client that went away


class Remember:
    """Stands above limits, so that their refusals are remembered, and below authorise."""

    def __init__(self, observe: Observe) -> None:
        self._observe = observe

    async def __call__(self, request: InferRequest, service: Service) -> Reply:
        code = GAVE_UP  # unless an answer or a failure is seen, nobody waited for either
        try:
            reply = await service(request)
            code = 200
            return reply
        except PenstockError as error:
            code = error.row.http
            raise
        except Exception:
            code = TABLE[Kind.INTERNAL].http
            raise
        finally:
            self._tell(request, code)

    def _tell(self, request: InferRequest, code: int) -> None:
        try:
            self._observe(request, code, time.monotonic())
        except Exception:
            # A record is not worth an answer.
            log.exception("the fate of a request could not be remembered")
