"""A gRPC client without a gateway: closed loops on one channel, in a process of its own.

    python -m benchmarks.direct PORT CONCURRENCY SECONDS '<shape>' MODEL TOKEN

prints requests, seconds, p50, p99, slowest and cpu (its own processor time) as JSON. Python clients
cost far more than wrk, which has to be kept in mind beside the others' figures.
"""

import asyncio
import json
import sys
import time

import numpy as np
import uvloop
from grpc import aio

from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub

_MESSAGE = 64 << 20  # bytes


def request(model: str, shape: list[int]) -> pb.ModelInferRequest:
    """Raw contents, as gRPC clients send them."""
    values = np.linspace(-3, 3, int(np.prod(shape)), dtype=np.float32)
    message = pb.ModelInferRequest(model_name=model, raw_input_contents=[values.tobytes()])
    message.inputs.add(name="x", datatype="FP32", shape=shape)
    return message


async def load(
    port: int, concurrency: int, seconds: float, message: pb.ModelInferRequest, token: str
) -> dict[str, float]:
    limits = [(f"grpc.max_{way}_message_length", _MESSAGE) for way in ("send", "receive")]
    took: list[float] = []
    metadata = [("authorization", f"Bearer {token}")]
    async with aio.insecure_channel(f"127.0.0.1:{port}", options=limits) as channel:
        infer = GRPCInferenceServiceStub(channel).ModelInfer
        await infer(message, metadata=metadata)
        began, cpu = time.perf_counter(), time.process_time()
        until = began + seconds

        async def caller() -> None:
            while (sent := time.perf_counter()) < until:
                await infer(message, metadata=metadata)
                took.append(time.perf_counter() - sent)

        await asyncio.gather(*(caller() for _ in range(concurrency)))
        passed, cpu = time.perf_counter() - began, time.process_time() - cpu
    p50, p99 = np.quantile(took, (0.5, 0.99))
    figures = {"p50": p50, "p99": p99, "slowest": max(took), "cpu": cpu}
    return {"requests": len(took), "seconds": passed, **figures}


if __name__ == "__main__":
    port, concurrency, seconds, shape, model, token = sys.argv[1:]
    message = request(model, json.loads(shape))
    print(json.dumps(uvloop.run(load(int(port), int(concurrency), float(seconds), message, token))))
