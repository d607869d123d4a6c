"""gRPC servers that a stranger's path can't end.

grpc.aio 1.85 decodes the path of a call to no registered method in its serving loop, and a path
that isn't UTF-8 ends the loop and the server with every call on it, before any interceptor is
asked. So such calls are taken out of that loop and refused here. A client that resets its
connection while it is answered would leave a traceback in the log for each of its calls; the log
tells nothing of it. That needs some of the library's own names; `tests/protos/test_grpc_server.py`
says if another version has them no more.
"""

import logging
from collections.abc import Sequence
from typing import Any

import grpc
from grpc import aio
from grpc._cython import cygrpc
from grpc.aio import _server


class _Core(cygrpc.AioServer):  # type: ignore[misc]  # compiled, without annotations
    """The library's server, whose loop sees calls of registered methods alone."""

    def _make_request_call_future(self, method: bytes | None) -> Any:
        if method is not None:
            return super()._make_request_call_future(method)
        return cygrpc.get_working_loop().create_task(self._refuse_others())

    async def _refuse_others(self) -> None:
        """Answers calls of other methods with UNIMPLEMENTED, until the server stops."""
        loop = cygrpc.get_working_loop()
        nothing = cygrpc._MethodResolver([], {})
        refusing: set[Any] = set()  # tasks, which the loop alone would not hold
        while True:
            try:
                call = await self._request_call()
            except cygrpc._RequestCallError:
                if not self.is_running():
                    raise
                continue
            refusal = cygrpc._handle_rpc("", nothing, (), call, loop, False)
            task = loop.create_task(cygrpc._schedule_rpc_coro(refusal, call, loop, ""))
            refusing.add(task)
            task.add_done_callback(refusing.discard)


class _Server(_server.Server):
    def __init__(
        self, interceptors: Sequence[aio.ServerInterceptor], options: Sequence[tuple[str, Any]]
    ) -> None:
        # Not the base's, which would make a server of the library's and leak it.
        self._loop = cygrpc.get_working_loop()
        self._server = _Core(self._loop, None, (), tuple(interceptors), tuple(options), None)


def _of_interest(record: logging.LogRecord) -> bool:
    """Whether a line of the library's tells more than that a client is gone."""
    return not (record.exc_info and isinstance(record.exc_info[1], cygrpc.ExecuteBatchError))


def server(
    *,
    interceptors: Sequence[aio.ServerInterceptor] = (),
    options: Sequence[tuple[str, Any]] = (),
) -> aio.Server:
    """Like `grpc.aio.server`, for methods that are registered; generic handlers are never asked.

    Generated code registers its methods; for others there is `register`.
    """
    logging.getLogger(cygrpc.__name__).addFilter(_of_interest)  # once, however many servers
    made: Any = _Server(interceptors, options)
    return made  # type: ignore[no-any-return]  # the library's types know its interface alone


def register(
    to: aio.Server, service: str, handlers: "dict[str, grpc.RpcMethodHandler[Any, Any]]"
) -> None:
    """Adds a service's methods by their names."""
    to.add_registered_method_handlers(service, handlers)
