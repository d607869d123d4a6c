"""The bare way: HTTP in, one unary gRPC call to the same backends out, and nothing else.

    python -m benchmarks.unary PORT BACKEND_PORT...

What any gateway written on grpc.aio's unary calls would pay at least.
"""

import itertools
import sys
from typing import Any

import numpy as np
import orjson
import uvicorn
import uvloop
from grpc import aio

from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub

_MESSAGE = 64 << 20  # bytes


class Forwarder:
    """`POST /v2/models/{model}/infer` with one FP32 input in JSON, FP32 out; endpoints in turn."""

    def __init__(self, ports: list[int]) -> None:
        limits = [(f"grpc.max_{way}_message_length", _MESSAGE) for way in ("send", "receive")]
        channels = [aio.insecure_channel(f"127.0.0.1:{port}", options=limits) for port in ports]
        self._stubs = itertools.cycle([GRPCInferenceServiceStub(each) for each in channels])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        (given,) = orjson.loads(body)["inputs"]
        values = np.array(given["data"], np.float32)
        model = scope["path"].split("/")[3]
        request = pb.ModelInferRequest(model_name=model, raw_input_contents=[values.tobytes()])
        request.inputs.add(name=given["name"], datatype="FP32", shape=given["shape"])
        reply = await next(self._stubs).ModelInfer(request)
        output = {
            "name": reply.outputs[0].name,
            "datatype": "FP32",
            "shape": list(reply.outputs[0].shape),
            "data": np.frombuffer(reply.raw_output_contents[0], np.float32),
        }
        answer = orjson.dumps(
            {"model_name": model, "outputs": [output]}, option=orjson.OPT_SERIALIZE_NUMPY
        )
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def serve(port: int, backends: list[int]) -> None:
    config = uvicorn.Config(
        Forwarder(backends),
        port=port,
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    first, *others = map(int, sys.argv[1:])
    uvloop.run(serve(first, others))
