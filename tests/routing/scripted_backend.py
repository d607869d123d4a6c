"""A backend whose every answer the test decides, on a real gRPC server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import numpy as np
from grpc import aio

from protos import exchange_calls, exchange_parts
from protos.arrays import to_tensor
from protos.errors import PenstockError
from protos.principal import Principal
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Tensors
from routing.exchange import CHANNEL_OPTIONS, Bounds, Exchange

KEY = "the key"


class ScriptedBackend:
    """Keeps what arrives; `on_call` answers a call at once if it is set."""

    def __init__(self):
        self.frames = []
        self.calls = {}
        self.cancels = []
        self.credits = []
        self.arrived = asyncio.Condition()
        self.on_call = None
        self._streams = {}
        self._server = None
        self.address = ""

    async def start(self, port=0):
        self._server = aio.server(options=[*CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)])
        method = grpc.stream_stream_rpc_method_handler(self._exchange)
        handler = grpc.method_handlers_generic_handler("penstock.v1.Backend", {"Exchange": method})
        self._server.add_generic_rpc_handlers((handler,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"
        await self._server.start()

    async def stop(self):
        await self._server.stop(grace=None)

    async def _exchange(self, frames, context):
        if (exchange_calls.ACCESS_KEY, KEY) not in context.invocation_metadata():
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
        await context.send_initial_metadata(())
        async for frame in frames:
            requests = exchange_calls.decode_requests(frame)
            async with self.arrived:
                self.frames.append(len(requests.calls))
                for call in requests.calls:
                    self.calls[call.id] = call
                    self._streams[call.id] = context
                self.cancels += requests.cancels
                self.credits += requests.credits
                self.arrived.notify_all()
            if self.on_call is not None:
                for call in requests.calls:
                    await self.on_call(call)

    async def until(self, condition, seconds=5.0):
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(condition)

    async def answer(self, call, values, *, final=True, call_id=None):
        """On the call's stream; with `call_id` as if it were for another one."""
        array = np.asarray(values, np.float32)
        named = call.id if call_id is None else call_id
        part = exchange_parts.encode_part(
            named, [to_tensor("y", array)], call.version, final=final, queue_us=5, batch_rows=1
        )
        await self.send(call, exchange_parts.reply_frame([part]))

    async def send(self, call, frame):
        """Any bytes on the call's stream."""
        await self._streams[call.id].write(frame)

    async def refuse(self, call, error: PenstockError, *, executed):
        part = exchange_parts.encode_failure(call.id, error, executed=executed)
        await self._streams[call.id].write(exchange_parts.reply_frame([part]))


@asynccontextmanager
async def connected(
    backend: ScriptedBackend,
    bounds: Bounds | None = None,
    on_lost: Callable[[int], None] = lambda calls: None,
) -> AsyncIterator[Exchange]:
    exchange = Exchange(backend.address, KEY, bounds=bounds, on_lost=on_lost)
    try:
        async with asyncio.timeout(5):
            while not exchange.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        yield exchange
    finally:
        await exchange.close()


def request(values=(1.0,), *, streaming=False, deadline=float("inf"), model="m"):
    context = Context(
        Principal("s", "tenant", frozenset()), deadline, Timeline(0.0), streaming=streaming
    )
    tensor = to_tensor("x", np.asarray(values, np.float32))
    return InferRequest("", model, "1", Tensors((tensor,)), {}, context)
