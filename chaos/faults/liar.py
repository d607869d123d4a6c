"""A backend that joins like any other and answers as it is told to: wrongly, or with refusals."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
from grpc import aio

from backends.heartbeat import BEAT_INTERVAL, Heartbeat
from chaos.history import Execution
from chaos.site import VERSION, Site
from chaos.timed import NAME
from protos import discovery_pb2 as pb
from protos import exchange_parts, exchange_pb2
from protos.arrays import to_tensor
from protos.errors import Kind, PenstockError
from protos.exchange_calls import Call, decode_requests

_NUMBER = pb.TensorSpec(name="number", datatype="INT64", shape=[-1, 1])
_MODEL = pb.Model(
    name=NAME,
    version=VERSION,
    state=pb.READY,
    platform="lies",
    inputs=[_NUMBER],
    outputs=[_NUMBER],
    max_batch_size=4,
    idempotent=True,
)

# The part that answers a call, or a frame that is none; None ends the stream, b"" says nothing.
Answer = Callable[[Call], bytes | None]


class Liar:
    """Stands for a backend of the timed model that takes no time; `answer` may change any time.

    `calls` are what reached it, as executions at seconds since `began`.
    """

    def __init__(self, site: Site, name: str, answer: Answer, began: float) -> None:
        self.name = name
        self.answer = answer
        self.calls: list[Execution] = []
        self._site = site
        self._began = began
        self._address = ""
        self._server = aio.server(options=[("grpc.so_reuseport", 0)])
        self._beating: Heartbeat | None = None
        self._joining: asyncio.Task[None] | None = None
        self._leaving = False

    async def __aenter__(self) -> Self:
        method: grpc.RpcMethodHandler[bytes, bytes]
        method = grpc.stream_stream_rpc_method_handler(self._exchange)
        service = grpc.method_handlers_generic_handler("penstock.v1.Backend", {"Exchange": method})
        self._server.add_generic_rpc_handlers((service,))
        self._address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        gateways = tuple(each.address("discovery") for each in self._site.gateways)
        token = self._site.gateway.join_token
        self._beating = Heartbeat(gateways, self._beat, token_file=token, on_drain=lambda: None)
        self._joining = asyncio.get_running_loop().create_task(self._beating.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving = True  # so that its lease ends with it
        if self._beating is not None:
            self._beating.beat_now()
            await asyncio.sleep(BEAT_INTERVAL / 2)
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.gather(self._joining, return_exceptions=True)
        await self._server.stop(grace=None)

    def _beat(self, with_models: bool) -> pb.Beat:
        return pb.Beat(
            instance=self.name,
            epoch=1,
            address=self._address,
            device="cpu",
            runtime="lies",
            access_key=self.name,
            models_revision=1,
            models=pb.ModelTable(models=[_MODEL]) if with_models else None,
            healthy=True,
            draining=self._leaving,
        )

    async def _exchange(
        self, frames: AsyncIterator[bytes], context: "aio.ServicerContext[Any, Any]"
    ) -> None:
        await context.send_initial_metadata(())
        async for frame in frames:
            for call in decode_requests(frame).calls:
                if not isinstance(call, Call):
                    continue
                number = int(call.inputs["number"][0, 0])
                at = time.monotonic() - self._began
                self.calls.append(Execution(number, self.name, at))
                said = self.answer(call)
                if said is None:
                    return
                if said:
                    await context.write(said)


def reply(call: Call, name: str = "number", rows: int = 1, ahead: int = 0) -> bytes:
    """The truth, unless it is told otherwise; `ahead` is added to the call's id."""
    array = np.resize(call.inputs["number"], (rows, 1))
    outputs = [to_tensor(name, array)] if rows else []
    part = exchange_parts.encode_part(call.id + ahead, outputs, VERSION)
    return exchange_parts.reply_frame([part])


def _torn(call: Call) -> bytes:
    """A tensor of one number that says it has seven."""
    frame = exchange_pb2.ReplyFrame.FromString(reply(call))
    frame.parts[0].outputs[0].shape[0] = 7
    return frame.SerializeToString()


def _unknown(call: Call) -> bytes:
    part = exchange_pb2.Part(id=call.id, status=99, final=True)
    return exchange_pb2.ReplyFrame(parts=[part]).SerializeToString()


def refusal(kind: Kind, *, executed: bool) -> Answer:
    """Answers every call with that failure; `executed` says that a batch held it."""

    def answer(call: Call) -> bytes:
        error = PenstockError(kind, "as it was told to")
        part = exchange_parts.encode_failure(call.id, error, executed=executed)
        return exchange_parts.reply_frame([part])

    return answer


# What must not be believed.
NONSENSE: dict[str, Answer] = {
    "another output": lambda call: reply(call, name="letter"),
    "too many rows": lambda call: reply(call, rows=2),
    "no output": lambda call: reply(call, rows=0),
    "a torn tensor": _torn,
    "an unknown status": _unknown,
    "an id that nobody gave": lambda call: reply(call, ahead=1_000_000),
    "no frame": lambda call: b"\xff\xff\xff",
}

# What says that it went wrong, each to be repeated by a rule of its own.
FAILURES: dict[str, Answer] = {
    "overloaded": refusal(Kind.OVERLOADED, executed=False),
    "unavailable": refusal(Kind.UNAVAILABLE, executed=False),
    "interrupted": refusal(Kind.UNAVAILABLE, executed=True),
    "failed": refusal(Kind.MODEL_FAILED, executed=True),
    "torn": _torn,
    "hung up": lambda call: None,
}
