"""The mix of a soak: all faces, people who go away, people who send rubbish, and nobody who waits.

Each kind is asked at random times of its own rate, whatever became of earlier requests. What came
is counted by kind and status; nothing is kept of a request.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import grpc
from grpc import aio

from chaos.load import body
from chaos.mesh import Mesh
from chaos.soak.ground import COUNT, NOISY, TEXT
from protos import open_inference_pb2 as oip
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub

TENANTS = 40
LEAVERS = 0.2  # of unary requests and streams
LEAVE_WITHIN = 0.03  # seconds
DIFFERENT = 500  # requests to the model whose answers are kept
TOKEN_LIFE = 6 * 3600.0
RUBBISH = (
    b"",
    b"{",
    b'{"inputs": [{"name": "number", "datatype": "INT64", "shape": [1, 2], "data": [1]}]}',
    b'{"inputs": [{"name": "number", "datatype": "INT64", "shape": [1, 1], "data": [1e400]}]}',
    b'{"inputs": [{"name": "number", "datatype": "FP32", "shape": [-1], "data": "x"}]}',
    b"[" * 70 + b"]" * 70,
    b"\xff\xfe\x00",
)
# Whole requests to a socket; whoever sent them reads what comes and goes.
BROKEN = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST /v2/models/timed/infer HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"POST /v2/models/timed/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nshort",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)


LEFT, CUT = "left", "200, cut"


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    rate: float  # a second
    ask: Callable[[], Awaitable[str]]  # the status, in words


class Traffic:
    """About `rate` requests a second in all, from entering to leaving the block."""

    def __init__(self, mesh: Mesh, rate: float, rng: random.Random) -> None:
        self.statuses: Counter[tuple[str, str]] = Counter()
        self._mesh = mesh
        self._rng = rng
        self._tokens = [
            mesh.token("infer:*", tenant=f"t{number}", lifetime=TOKEN_LIFE)
            for number in range(TENANTS)
        ]
        self._noisy = mesh.token("infer:*", tenant=NOISY, lifetime=TOKEN_LIFE)
        share = rate / 60
        self._kinds = (
            Kind("unary", 30 * share, self._unary),
            Kind("kept", 8 * share, self._kept),
            Kind("over its limit", 5 * share, self._over),
            Kind("text", 5 * share, self._said),
            Kind("stream", 4 * share, self._stream),
            Kind("grpc", 4 * share, self._grpc),
            Kind("rubbish", 2 * share, self._rubbish),
            Kind("broken", 1 * share, self._broken),
            Kind("stranger", 1 * share, self._stranger),
        )
        self._planning: list[asyncio.Task[None]] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=30.0)
        self._session = aiohttp.ClientSession(self._mesh.url, timeout=timeout)
        self._channel = aio.insecure_channel(self._mesh.address("grpc"))
        self._stub = GRPCInferenceServiceStub(self._channel)
        loop = asyncio.get_running_loop()
        self._planning = [loop.create_task(self._plan(kind)) for kind in self._kinds]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._planning:
            task.cancel()
        await asyncio.gather(*self._planning, return_exceptions=True)
        await asyncio.gather(*self._asking)
        await self._session.close()
        await self._channel.close()

    async def _plan(self, kind: Kind) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._rng.expovariate(kind.rate))
            task = loop.create_task(self._note(kind))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _note(self, kind: Kind) -> None:
        try:
            status = await kind.ask()
        except TimeoutError:
            status = "no answer"
        except Exception as failure:  # whatever became of it, it was asked
            status = type(failure).__name__
        self.statuses[kind.name, status] += 1

    async def _unary(self) -> str:
        return await self._left_by_some(self._infer("timed", body(self._number())))

    async def _kept(self) -> str:
        return await self._infer("kept", body(self._rng.randrange(DIFFERENT)))

    async def _over(self) -> str:
        return await self._infer("timed", body(self._number()), self._noisy)

    async def _said(self) -> str:
        address = f"jane.{self._number()}@example.com"
        data = (
            b'{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": ["%s"]}]}'
        )
        return await self._infer(TEXT, data % f"Mail {address} of project alpha.".encode())

    async def _stream(self) -> str:
        async def read() -> str:
            path = f"/v2/models/{COUNT}/generate_stream"
            async with self._session.post(path, json={"n": 5}, headers=self._bearer()) as reply:
                said = await reply.read()
            if reply.status != 200:
                return str(reply.status)
            return "200" if said.count(b'"part"') == 5 else CUT

        return await self._left_by_some(read())

    async def _grpc(self) -> str:
        message = oip.ModelInferRequest(model_name="timed")
        tensor = message.inputs.add(name="number", datatype="INT64", shape=[1, 1])
        tensor.contents.int64_contents.append(self._number())
        metadata = (("authorization", f"Bearer {self._rng.choice(self._tokens)}"),)

        async def ask() -> str:
            call = self._stub.ModelInfer(message, metadata=metadata, timeout=10.0)
            try:
                await call
            except aio.AioRpcError as error:
                return str(error.code().name)
            finally:
                call.cancel()
            return str(grpc.StatusCode.OK.name)

        return await self._left_by_some(ask())

    async def _rubbish(self) -> str:
        return await self._infer("timed", self._rng.choice(RUBBISH))

    async def _broken(self) -> str:
        host, _, port = self._mesh.address("http").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(self._rng.choice(BROKEN))
            async with asyncio.timeout(5.0):
                head = await reader.readline()
        finally:
            writer.close()
        return head.split(b" ")[1].decode() if head.startswith(b"HTTP/") else "closed"

    async def _stranger(self) -> str:
        path = f"/v2/models/m{self._number()}/infer"
        token = self._rng.choice(("none", self._tokens[0], self._tokens[0][:-3]))
        async with self._session.post(path, headers={"authorization": f"Bearer {token}"}) as reply:
            return str(reply.status)

    async def _infer(self, model: str, data: bytes, token: str = "") -> str:
        path, headers = f"/v2/models/{model}/infer", self._bearer(token)
        async with self._session.post(path, data=data, headers=headers) as reply:
            await reply.read()
            return str(reply.status)

    async def _left_by_some(self, asked: Awaitable[str]) -> str:
        if self._rng.random() >= LEAVERS:
            return await asked
        try:
            async with asyncio.timeout(self._rng.uniform(0, LEAVE_WITHIN)):
                return await asked
        except TimeoutError:
            return LEFT

    def _bearer(self, token: str = "") -> dict[str, Any]:
        return {"authorization": f"Bearer {token or self._rng.choice(self._tokens)}"}

    def _number(self) -> int:
        return self._rng.randrange(1, 10**9)
