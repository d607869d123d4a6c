"""A client goes away: its work leaves the queue, its stream ends at the model, within 100 ms."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from chaos.mesh import Mesh
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub

SOON = 0.1  # seconds in which the batch queue hears of it


@pytest.fixture
def stub(mesh: Mesh) -> Iterator[Any]:
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        yield GRPCInferenceServiceStub(channel)


@pytest.fixture
def occupied(mesh: Mesh, rest: httpx.Client) -> Iterator[Path]:
    """The device of `patient` executes one request.

    Whatever comes now is staged or waits in the queue, until the file is there.
    """
    release = mesh.folder / "release"
    name = f"blocker {time.monotonic()}"
    executing = threading.Thread(target=slow, args=(rest, 5.0, name))
    executing.start()
    mesh.wait(lambda: name in ran(mesh), "the device to be occupied")
    yield release
    release.touch()
    executing.join()
    release.unlink()


def slow(rest: httpx.Client, seconds: float, tag: str) -> httpx.Response:
    return rest.post("/v2/models/slow/infer", content=slow_body(seconds, tag))


def slow_body(seconds: float, tag: str) -> bytes:
    inputs = [
        {"name": "seconds", "datatype": "FP32", "shape": [1], "data": [seconds]},
        {"name": "tag", "datatype": "BYTES", "shape": [1], "data": [tag]},
    ]
    return json.dumps({"inputs": inputs}).encode()


def slow_message(seconds: float, tag: str) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="slow")
    request.inputs.add(name="seconds", datatype="FP32", shape=[1]).contents.fp32_contents.append(
        seconds
    )
    request.inputs.add(name="tag", datatype="BYTES", shape=[1]).contents.bytes_contents.append(
        tag.encode()
    )
    return request


def ran(mesh: Mesh) -> list[str]:
    """What the slow model has executed, by tag."""
    return lines(mesh.folder / "ran")


def lines(record: Path) -> list[str]:
    return record.read_text().splitlines() if record.exists() else []


def open_request(mesh: Mesh, path: str, body: bytes) -> socket.socket:
    """A raw connection on which a request was sent."""
    connection = socket.create_connection(("127.0.0.1", mesh.ports["http"]))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer"
        f" {mesh.token('infer:*')}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def leaves_the_queue(
    mesh: Mesh, rest: httpx.Client, release: Path, go_away: Callable[[], object], tag: str
) -> None:
    """The device gets free as soon as the queue has to know that the victim is gone."""
    time.sleep(SOON)  # for it to reach the queue
    assert tag not in ran(mesh)
    go_away()
    time.sleep(SOON)
    release.touch()
    assert slow(rest, 0.0, f"after {tag}").status_code == 200
    assert f"after {tag}" in ran(mesh)
    assert tag not in ran(mesh)


def test_a_queued_request_is_executed_unless_its_client_goes_away(
    mesh: Mesh, occupied: Path
) -> None:
    """Without this the tests below would prove nothing."""
    connection = open_request(mesh, "/v2/models/slow/infer", slow_body(0.0, "patient client"))
    time.sleep(SOON)

    occupied.touch()

    assert b"200 OK" in connection.recv(4096)
    assert "patient client" in ran(mesh)
    connection.close()


def test_queued_requests_of_closed_connections_are_never_executed(
    mesh: Mesh, rest: httpx.Client, occupied: Path
) -> None:
    victims = [
        open_request(mesh, "/v2/models/slow/infer", slow_body(0.0, "http victim")) for _ in range(5)
    ]

    def go_away() -> None:
        for victim in victims:
            victim.close()

    leaves_the_queue(mesh, rest, occupied, go_away, "http victim")


def test_a_queued_request_of_a_cancelled_call_is_never_executed(
    mesh: Mesh, rest: httpx.Client, occupied: Path, stub: Any, bearer: dict[str, str]
) -> None:
    call = stub.ModelInfer.future(slow_message(0.0, "grpc victim"), metadata=tuple(bearer.items()))

    leaves_the_queue(mesh, rest, occupied, call.cancel, "grpc victim")


def test_queued_requests_of_a_cancelled_stream_are_never_executed(
    mesh: Mesh, rest: httpx.Client, occupied: Path, stub: Any, bearer: dict[str, str]
) -> None:
    over = threading.Event()

    def requests() -> Iterator[pb.ModelInferRequest]:
        for _ in range(3):
            yield slow_message(0.0, "stream victim")
        over.wait(5.0)

    call = stub.ModelStreamInfer(requests(), metadata=tuple(bearer.items()))

    leaves_the_queue(mesh, rest, occupied, call.cancel, "stream victim")
    over.set()


def test_queued_requests_of_a_stream_over_http_are_never_executed(
    mesh: Mesh, rest: httpx.Client, occupied: Path
) -> None:
    body = json.dumps({"seconds": 0, "tag": "event victim"}).encode()
    connection = open_request(mesh, "/v2/models/slow/generate_stream", body)

    leaves_the_queue(mesh, rest, occupied, connection.close, "event victim")


@pytest.mark.parametrize("face", ["http", "grpc", "grpc stream"])
def test_a_stream_whose_client_is_gone_ends_at_the_model(
    mesh: Mesh, stub: Any, bearer: dict[str, str], face: str
) -> None:
    pause, record = 0.05, mesh.folder / "streams"
    before = len(lines(record))
    if face == "http":
        body = json.dumps({"n": 1000, "pause": pause}).encode()
        connection = open_request(mesh, "/v2/models/count/generate_stream", body)
        assert connection.recv(4096)
        gone = time.monotonic()
        connection.close()
    else:
        request = pb.ModelInferRequest(model_name="count")
        request.inputs.add(name="n", datatype="INT32", shape=[1])
        request.inputs.add(name="pause", datatype="FP32", shape=[1])
        request.raw_input_contents.extend([np.int32(1000).tobytes(), np.float32(pause).tobytes()])
        call = stub.ModelStreamInfer(iter([request]), metadata=tuple(bearer.items()))
        next(call)
        gone = time.monotonic()
        call.cancel()

    mesh.wait(lambda: len(lines(record)) > before, "the stream to end")

    what, at = lines(record)[before].split()
    assert what == "closed"
    # The model itself is asleep for `pause` between two looks.
    assert float(at) - gone < SOON + pause
