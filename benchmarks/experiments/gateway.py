"""An experimental gateway process: uvicorn, httptools, uvloop and a raw ASGI app which forwards over any link.

    python -m benchmarks.experiments.gateway '<json list of backends>'      prints {"http": port}

PUT / chooses the variant that all following requests use; GET / returns counters.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import simdjson
import uvicorn
import uvloop

from benchmarks.experiments import picking
from benchmarks.experiments.exchange import (
    Answer,
    FramedLink,
    GrpcLink,
    Link,
    Pace,
    Request,
    UnaryLink,
    channel,
)
from benchmarks.experiments.picking import Picker
from benchmarks.experiments.wire import Part

ECHO = Part(output=bytes(40))  # what "none" answers: HTTP and JSON alone
JSON_HEADERS = [(b"content-type", b"application/json")]


@dataclass(frozen=True, slots=True)
class Variant:
    transport: str = "grpc"  # grpc, framed, unary, none
    picker: str = "two_choices"
    endpoints: int = 1
    aperture: int = 0  # 0: all endpoints
    bound: int = 32
    turns: int = 0
    batch_us: int = 0  # the device's time for a batch and for each of its rows
    row_us: int = 0


class Gateway:
    def __init__(self, backends: list[dict[str, int]]) -> None:
        self._backends = backends
        self._parser = simdjson.Parser()
        self._load: list[int] = [0] * len(backends)
        self._variant = Variant()
        self._extra: dict[str, int] | None = None
        self._pick: Picker = lambda: 0

    async def open(self) -> None:
        channels = [channel(b["grpc"]) for b in self._backends]
        self._unary = [UnaryLink(c) for c in channels]
        self._links: dict[str, list[Link]] = {
            "grpc": [GrpcLink(c) for c in channels],
            "framed": [await FramedLink.connect(b["framed"]) for b in self._backends],
        }

    def choose(self, variant: Variant) -> None:
        among = list(range(variant.endpoints))
        if variant.aperture:
            among = picking.aperture(variant.endpoints, variant.aperture, "worker-0")
        loop, load = asyncio.get_running_loop(), self._load
        self._pick = {
            "two_choices": lambda: picking.two_choices(load, among, random.Random(1)),
            "same_turn": lambda: picking.same_turn(load, among, variant.bound, loop.call_soon),
            "packed": lambda: picking.packed(load, among, variant.bound),
            "sticky": lambda: picking.sticky(load, among, variant.bound),
        }[variant.picker]()
        for links in self._links.values():
            for link in links:
                link.pace = Pace(variant.turns)
        self._extra = (
            {"batch_us": variant.batch_us, "row_us": variant.row_us} if variant.batch_us else None
        )
        self._variant = variant

    async def infer(self, body: bytes) -> bytes:
        document = self._parser.parse(body)
        tensor = np.frombuffer(
            document.at_pointer("/inputs/0/data").as_buffer(of_type="d"), np.float64
        )
        request = Request(tensor.astype(np.float32).tobytes(), 0.0, self._extra)
        del document, tensor
        now = asyncio.get_running_loop().time()
        request.deadline = now + 2.0
        n = self._pick()
        self._load[n] += 1
        try:
            if self._variant.transport == "none":
                part = ECHO
            elif self._variant.transport == "unary":
                part = await self._unary[n].call(request, now)
            else:
                answer = Answer()
                self._links[self._variant.transport][n].submit(request, answer)
                part = await answer.future
        finally:
            self._load[n] -= 1
        output = np.frombuffer(part.output, np.float32)
        return orjson.dumps(
            {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 10], "data": output}]},
            option=orjson.OPT_SERIALIZE_NUMPY,
        )

    def counters(self) -> dict[str, int]:
        links = [link for group in self._links.values() for link in group]
        return {
            "frames": sum(link.frames for link in links),
            "calls": sum(link.calls for link in links),
        }

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        message = await receive()
        body: bytes = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        if scope["method"] == "POST":
            answer = await self.infer(body)
        else:
            if scope["method"] == "PUT":
                self.choose(Variant(**orjson.loads(body)))
            answer = orjson.dumps(self.counters())
        length = (b"content-length", b"%d" % len(answer))
        await send(
            {"type": "http.response.start", "status": 200, "headers": [*JSON_HEADERS, length]}
        )
        await send({"type": "http.response.body", "body": answer})


async def serve(backends: list[dict[str, int]]) -> None:
    gateway = Gateway(backends)
    await gateway.open()
    # Without the protocol number asyncio leaves Nagle's algorithm on: 44 ms a request (uvloop always turns it off).
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    print(json.dumps({"http": listener.getsockname()[1]}), flush=True)
    config = uvicorn.Config(
        gateway,
        http="httptools",
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
    )
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    run = asyncio.run if sys.argv[2:] == ["asyncio"] else uvloop.run
    run(serve(json.loads(sys.argv[1])))
