"""The web wrapper that everybody writes first: Starlette, uvicorn and the same model.

    python -m benchmarks.naive PORT torch|onnx ARTIFACT DEVICE THREADS

One request at a time goes through the model, in a thread, so that the server keeps reading.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks import minilm

Model = Callable[[Mapping[str, Any]], Any]


def app(model: Model) -> Starlette:
    turn = asyncio.Lock()

    async def infer(request: Request) -> JSONResponse:
        body = await request.json()
        feed = {
            given["name"]: np.array(given["data"], np.int64).reshape(given["shape"])
            for given in body["inputs"]
        }
        async with turn:
            found = await asyncio.to_thread(model, feed)
        output = {"name": "sentence_embedding", "datatype": "FP32", "shape": found.shape}
        return JSONResponse({"outputs": [output | {"data": found.ravel().tolist()}]})

    return Starlette(routes=[Route("/v2/models/{model}/infer", infer, methods=["POST"])])


def in_torch(artifact: str, device: str, threads: int) -> Model:
    import torch

    torch.set_num_threads(threads)
    module = torch.export.load(artifact).module().to(device)

    def run(feed: Mapping[str, Any]) -> Any:
        with torch.inference_mode():
            given = [torch.from_numpy(feed[name]).to(device) for name in minilm.INPUTS]
            return module(*given).cpu().numpy()

    return run


def in_onnx(artifact: str, device: str, threads: int) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    provider = "CPUExecutionProvider" if device == "cpu" else "CUDAExecutionProvider"
    session = onnxruntime.InferenceSession(artifact, options, providers=[provider])
    return lambda feed: session.run(None, dict(feed))[0]


if __name__ == "__main__":
    port, runtime, artifact, device, threads = sys.argv[1:]
    load = {"torch": in_torch, "onnx": in_onnx}[runtime]
    server = app(load(artifact, device, int(threads)))
    uvicorn.run(server, port=int(port), log_level="warning", access_log=False)
