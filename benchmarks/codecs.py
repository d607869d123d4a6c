"""What encoding and decoding cost, by themselves: `python -m benchmarks.codecs`.

Each figure is the best of several rounds, in microseconds a call, on one core. Small is the request
of the gateway's budget (64 floats in, 10 out), large an image of 3 × 224 × 224.
"""

import timeit
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from protos import exchange_calls, exchange_parts, oip_grpc, text, v2_generate, v2_json
from protos import open_inference_pb2 as pb
from protos.arrays import join_bytes, to_tensor
from protos.json_reader import read_object
from protos.openai import reply
from protos.openai import request as requests
from protos.openai.chunks import Chunks
from protos.principal import Principal
from protos.timeline import Target, Timeline
from protos.values import (
    NO_PARAMETERS,
    Chat,
    Context,
    InferRequest,
    Part,
    Signature,
    Tensor,
    Tensors,
    TensorSpec,
)

FRAME = 16  # calls a frame at 64 callers, see experiments/README.md
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Case = tuple[str, Callable[[], Any], int, float | None]  # name, what, calls in it, budget in µs


def best(what: Callable[[], Any], seconds: float = 0.3, rounds: int = 5) -> float:
    timer = timeit.Timer(what)
    once = max(timer.timeit(1), 1e-7)
    number = max(1, int(seconds / rounds / once))
    return min(timer.repeat(rounds, number)) / number * 1e6


def body(tensor: np.ndarray[Any, Any], datatype: str, shape: list[int], nested: bool) -> bytes:
    data = tensor.reshape(shape) if nested else tensor
    given = {"name": "x", "datatype": datatype, "shape": shape, "data": data}
    return orjson.dumps({"id": "7", "inputs": [given]}, option=orjson.OPT_SERIALIZE_NUMPY)


def rest() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    small = rng.standard_normal(64).astype(np.float32)
    large = rng.standard_normal(3 * 224 * 224)
    image = [1, 3, 224, 224]
    answer = _part(rng.standard_normal(10).astype(np.float32))
    large_reply = _part(large.astype(np.float32))
    for name, data, datatype, shape, nested, budget in (
        ("64 FP32, flat", small, "FP32", [1, 64], False, 20),
        ("64 FP32, nested", small, "FP32", [1, 64], True, None),
        ("image of FP32, flat", large.astype(np.float32), "FP32", image, False, 4000),
        ("image of FP32, nested", large.astype(np.float32), "FP32", image, True, 4000),
        ("image of FP32 in double digits", large, "FP32", image, False, 4000),
        ("image of FP32, column", large.astype(np.float32), "FP32", [large.size, 1], True, None),
        ("image of UINT8", (large * 50).astype(np.uint8), "UINT8", image, False, 4000),
    ):
        sent = body(data, datatype, shape, nested)
        title = f"REST decode: {name} ({len(sent):,} B)"
        yield title, lambda sent=sent: v2_json.decode_request(sent), 1, budget
    binary = orjson.dumps(
        {
            "inputs": [
                {
                    "name": "x",
                    "datatype": "FP32",
                    "shape": image,
                    "parameters": {"binary_data_size": large.size * 4},
                }
            ]
        }
    )
    whole = binary + large.astype(np.float32).tobytes()
    yield "REST decode: image, binary", lambda: v2_json.decode_request(whole, len(binary)), 1, None
    yield "REST encode: 10 FP32", lambda: v2_json.encode_reply("m", "7", answer), 1, 5
    yield "REST encode: image of FP32", lambda: v2_json.encode_reply("m", "7", large_reply), 1, 4000
    signature = Signature("llm", (TensorSpec("text_input", "BYTES", (1,)),), ())
    prompt = orjson.dumps({"text_input": "hello " * 100, "temperature": 0.5})
    yield (
        "generate decode: 600 B of text",
        lambda: v2_generate.decode_request(prompt, signature),
        1,
        None,
    )


def messages() -> Iterator[Case]:
    x = Tensor("x", "FP32", (1, 64), bytes(256))
    message = pb.ModelInferRequest(model_name="m", id="7", raw_input_contents=[x.data])
    message.inputs.add(name="x", datatype="FP32", shape=x.shape)
    typed = pb.ModelInferRequest(model_name="m", id="7")
    typed.inputs.add(name="x", datatype="FP32", shape=x.shape).contents.fp32_contents.extend(
        range(64)
    )
    answer = _part(np.zeros(10, np.float32))
    yield "gRPC decode: 64 FP32, raw", lambda: oip_grpc.decode_request(message), 1, None
    yield "gRPC decode: 64 FP32, typed", lambda: oip_grpc.decode_request(typed), 1, None
    yield "gRPC encode: 10 FP32", lambda: oip_grpc.encode_reply("m", "7", answer), 1, None
    words = Tensors((Tensor("t", "BYTES", (16,), join_bytes([b"some words of text"] * 16)),))
    yield "texts: 16 elements", lambda: text.texts(words), 1, None


def exchange() -> Iterator[Case]:
    principal = Principal("alice", "acme", frozenset({"infer:*"}))
    context = Context(principal, 1e9, Timeline(0.0), Target("stable", "m", "3"), TRACEPARENT)
    payload = Tensors((Tensor("x", "FP32", (1, 64), bytes(256)),))
    request = InferRequest("0123456789abcdef", "m", "", payload, NO_PARAMETERS, context)
    y = Tensor("y", "FP32", (1, 10), bytes(40))

    def calls() -> bytes:
        encode, stamp = exchange_calls.encode_call, exchange_calls.stamp
        wires = [stamp(encode(100_000 + i, request), 1_999_123) for i in range(FRAME)]
        return exchange_calls.frame(wires)

    def parts() -> bytes:
        encode = exchange_parts.encode_part
        wires = [
            encode(100_000 + i, (y,), "3", queue_us=9, compute_us=99, batch_rows=16, padded_rows=16)
            for i in range(FRAME)
        ]
        return exchange_parts.reply_frame(wires)

    sent, answered = calls(), parts()
    yield "exchange: encode a call", calls, FRAME, 6
    yield (
        "exchange: decode a call",
        lambda: exchange_calls.decode_requests(sent),
        FRAME,
        None,
    )
    yield "exchange: encode a part", parts, FRAME, None
    yield "exchange: decode a part", lambda: exchange_parts.decode_parts(answered), FRAME, 5


def openai() -> Iterator[Case]:
    words = "some words of a conversation " * 8
    messages = [
        {"role": role, "content": words} for role in ("system", "user", "assistant", "user")
    ]
    sent = orjson.dumps({"model": "m", "messages": messages, "stream": True, "max_tokens": 99})
    asked = requests.chat(read_object(sent), len(sent))
    choice = {"index": 0, "delta": {"content": " word"}, "finish_reason": None, "logprobs": None}
    chunk = {
        "id": "chatcmpl-0123456789abcdef0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "m",
        "choices": [choice],
        "usage": None,
    }
    event = reply.encode_event(asked, Part(Chat(chunk), "1", NO_PARAMETERS, False))
    part = exchange_parts.encode_part(7, Chat(chunk), "1", final=False)
    frame = exchange_parts.reply_frame([part])
    value = Part(Chat(chunk), "1", NO_PARAMETERS, False)
    yield (
        f"OpenAI decode: a chat ({len(sent):,} B)",
        lambda: requests.chat(read_object(sent)),
        1,
        None,
    )
    yield "OpenAI: a chunk from the model server", lambda: Chunks().feed(event), 1, None
    yield (
        "OpenAI: a chunk to the exchange",
        lambda: exchange_parts.encode_part(7, Chat(chunk), "1", final=False),
        1,
        None,
    )
    yield "OpenAI: a chunk from the exchange", lambda: exchange_parts.decode_parts(frame), 1, None
    yield "OpenAI: a chunk to the client", lambda: reply.encode_event(asked, value), 1, None


def _part(array: np.ndarray[Any, Any]) -> Part:
    return Part(Tensors((to_tensor("y", array),)), "3", NO_PARAMETERS, True)


def main() -> None:
    table = Table("what", "µs", "budget", box=None)
    table.columns[1].justify = table.columns[2].justify = "right"
    for cases in (rest(), messages(), exchange(), openai()):
        for name, what, calls, budget in cases:
            took = best(what) / calls
            table.add_row(name, f"{took:,.1f}", f"{budget:,.0f}" if budget else "")
    Console().print(table)


if __name__ == "__main__":
    main()
