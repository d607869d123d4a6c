"""The operator's client: where it connects, and how refusals read."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gateway.client import GatewayClient, reachable, url
from gateway.config import Config
from gateway.listening import Listener
from gateway.sample import Input
from protos.errors import Kind, PenstockError
from protos.quantities import address
from protos.strict_yaml import load

ANSWERS = {
    "/v2/models/digits/versions/2": (
        200,
        {"inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 8, 8]}]},
    ),
    "/v2/repository/index": (200, [{"name": "digits", "version": "2", "state": "READY"}]),
    "/v2/repository/models/digits/unload": (200, {}),
    "/v2/repository/models/absent/load": (404, {"error": 'no model is called "absent"'}),
    "/v2/health/ready": (503, {"ready": False}),
}


class Face(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        status, value = ANSWERS.get(self.path, (500, "no JSON object"))
        if self.headers.get("authorization") != "Bearer t" and "health" not in self.path:
            status, value = 401, {"error": "a valid bearer token is required"}
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def config():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Face)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    here = f"{{address: '127.0.0.1:{server.server_port}'}}"
    nowhere = "{address: '127.0.0.1:1'}"
    text = f"apiVersion: penstock/v1\nkind: Penstock\nlisteners: {{http: {here}, admin: {nowhere}}}"
    yield load(text, "penstock.yaml", Config)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("listening", "connecting"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("0.0.0.0:8000", "127.0.0.1:8000"),
        ("[::]:8000", "[::1]:8000"),
        ("gateway:8000", "gateway:8000"),
    ],
)
def test_all_interfaces_are_reached_through_the_loopback(listening: str, connecting: str):
    assert str(reachable(address(listening))) == connecting
    assert url(Listener(address=address(listening))) == f"http://{connecting}"


async def test_answers_become_values(config: Config):
    async with GatewayClient(config, lambda: "t") as client:
        assert await client.inputs("digits", "2") == (Input("pixels", "FP32", (-1, 8, 8)),)
        assert await client.index() == [{"name": "digits", "version": "2", "state": "READY"}]
        await client.unload("digits")


async def test_the_gateways_own_refusals_are_raised(config: Config):
    async with GatewayClient(config, lambda: "t") as client:
        with pytest.raises(PenstockError, match='no model is called "absent"') as refusal:
            await client.load("absent")
    assert refusal.value.kind is Kind.NOT_FOUND


async def test_a_token_that_is_not_accepted_is_said(config: Config):
    async with GatewayClient(config, lambda: "other") as client:
        with pytest.raises(PenstockError) as refusal:
            await client.index()
    assert refusal.value.kind is Kind.UNAUTHENTICATED


async def test_an_answer_that_is_not_the_gateways_is_described(config: Config):
    async with GatewayClient(config, lambda: "t") as client:
        with pytest.raises(PenstockError, match="/v2/models/x/versions/1 answered 500"):
            await client.inputs("x", "1")


@pytest.mark.parametrize(
    ("content", "why"), [("rubbish", "it holds no certificate"), (None, "No such file")]
)
async def test_a_certificate_that_cannot_be_trusted_is_said(tmp_path, content, why):
    for name in ("certificate", "key"):
        if content is not None:
            (tmp_path / name).write_text(content)
    text = f"""
apiVersion: penstock/v1
kind: Penstock
listeners:
  http:
    address: 127.0.0.1:1
    tls: {{certificate: {tmp_path}/certificate, key: {tmp_path}/key}}
"""
    with pytest.raises(PenstockError, match=f"certificate .*can't be used: {why}"):
        await GatewayClient(load(text, "penstock.yaml", Config), lambda: "t").__aenter__()


async def test_a_face_that_does_not_answer_is_unavailable(config: Config):
    async with GatewayClient(config, lambda: "t") as client:
        with pytest.raises(PenstockError, match="answer at http") as refusal:
            await client.instances()
        assert not await client.ready()
    assert refusal.value.kind is Kind.UNAVAILABLE
