"""gRPC's own health protocol, which Kubernetes and load balancers ask for without being let in.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from collections.abc import Callable
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos import discovery_pb2 as pb

# What probes ask for by name; the empty one is whether gateways can send this process work.
STARTUP = "startup"
LIVENESS = "liveness"

_Response = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # generated, without types
    """Answers by what the next beat would say, so that probes and gateways never differ.

    A device that hangs fails `liveness`, since only a new process gets it back; a process that
    loads or drains is alive and has nothing to serve. `startup` is over when there is a model to
    serve, whoever may know of it: a new process finds no gateway either. `Watch` answers
    UNIMPLEMENTED, which the protocol allows.
    """

    def __init__(self, beat: Callable[[bool], pb.Beat], known: Callable[[], bool]) -> None:
        """`beat` makes the next one, with the model table if it is told True.

        `known` is whether some gateway has let this process join, at any time, and no other process
        has its name now: one that nobody lets in must not replace one that serves, and a loss of
        gateways is not the backends' failure.
        """
        self._beat = beat
        self._known = known

    async def Check(  # noqa: N802 (the service's name)
        self,
        message: health_pb2.HealthCheckRequest,
        context: aio.ServicerContext[Any, Any],
    ) -> health_pb2.HealthCheckResponse:
        if message.service == LIVENESS:
            well = self._beat(False).healthy
        elif message.service in ("", STARTUP):
            well = serves(self._beat(True)) and (message.service == STARTUP or self._known())
        else:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return _Response(status=_Response.SERVING if well else _Response.NOT_SERVING)


def serves(beat: pb.Beat) -> bool:
    """Whether a process that says this would be given work."""
    ready = any(model.state == pb.READY for model in beat.models.models)
    return ready and beat.healthy and not beat.draining
