"""The commands that `penstock up` prints work when they are pasted."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.sample import (
    Access,
    Input,
    chat,
    chat_python,
    curl,
    generate_stream,
    inputs_of,
    python,
)
from protos.v2_generate import decode_request
from protos.values import Signature, TensorSpec

PIXELS = Input("pixels", "FP32", (-1, 8, 8))
TOKENS = Input("tokens", "INT64", (-1, -1))
TEXT = Input("text", "BYTES", (-1,))
PHOTO = Input("photo", "FP32", (-1, 3, 32, 32))
HALF = Input("half", "FP16", (-1, 4))
BRAIN = Input("brain", "BF16", (-1, 4))


class Recorder(BaseHTTPRequestHandler):
    """Answers any inference and keeps what it was asked."""

    requests: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.requests.append((self.path, headers, body))
        said = [{"index": 0, "message": {"role": "assistant", "content": "Hello."}}]
        fields = {"model_name": "m", "model_version": "1", "outputs": [], "choices": said}
        answer = json.dumps(fields).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def recorder(tmp_path: Path):
    handler = type("Recording", (Recorder,), {"requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    token_file = tmp_path / "a token's file"
    token_file.write_text("secret\n")
    yield handler.requests, Access(f"http://127.0.0.1:{server.server_port}", str(token_file))
    server.shutdown()
    server.server_close()


def paste(command: str) -> str:
    """What a shell prints for it."""
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout


def test_inputs_come_from_a_models_metadata():
    metadata = {"inputs": [{"name": "pixels", "datatype": "FP32", "shape": ["-1", 8, 8]}]}
    assert inputs_of(metadata) == (PIXELS,)


def test_small_inputs_go_as_json(recorder):
    requests, access = recorder
    assert "model_name" in paste(curl(access, "digits", "2", (PIXELS, TEXT)))
    [(path, headers, body)] = requests
    assert path == "/v2/models/digits/versions/2/infer"
    assert headers["authorization"] == "Bearer secret"
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "inputs": [
            {"name": "pixels", "shape": [1, 8, 8], "datatype": "FP32", "data": [0] * 64},
            {"name": "text", "shape": [1], "datatype": "BYTES", "data": [""]},
        ]
    }


def test_without_a_version_the_gateway_chooses(recorder):
    requests, access = recorder
    paste(curl(access, "digits", "", (PIXELS,)))
    assert requests[0][0] == "/v2/models/digits/infer"


def test_a_generator_is_asked_with_a_text_for_the_parts_of_its_reply(recorder):
    requests, access = recorder
    paste(generate_stream(access, "story", "1", (TEXT, Input("seed", "INT64", (1, 1)))))
    [(path, headers, body)] = requests
    assert path == "/v2/models/story/versions/1/generate_stream"
    assert headers["authorization"] == "Bearer secret"
    assert json.loads(body) == {"text": ["Tell me something."], "seed": [[0]]}
    wanted = (TensorSpec("text", "BYTES", (-1,)), TensorSpec("seed", "INT64", (1, 1)))
    signature = Signature("", wanted, ())
    shapes = [tensor.shape for tensor in decode_request(body, signature).payload.tensors]
    assert shapes == [(1,), (1, 1)]


def test_a_language_model_is_asked_in_openais_words(recorder):
    requests, access = recorder
    paste(chat(access, "org/assistant"))
    [(path, headers, body)] = requests
    asked = json.loads(body)
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer secret"
    assert (asked["model"], asked["messages"][0]["role"]) == ("org/assistant", "user")


def test_openais_own_client_asks_a_language_model(recorder):
    requests, access = recorder
    done = subprocess.run(
        [sys.executable, "-c", chat_python(access, "assistant")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Hello.\n"
    [(path, headers, body)] = requests
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer secret"
    assert json.loads(body)["model"] == "assistant"


@pytest.mark.parametrize(
    ("inputs", "zeros"),
    [((PHOTO,), 4 * 3 * 32 * 32), ((HALF,), 8), ((BRAIN, TEXT), 8 + 4), ((PHOTO, TOKENS), 12296)],
)
def test_large_inputs_and_short_floats_go_in_binary(recorder, inputs, zeros: int):
    requests, access = recorder
    assert "model_name" in paste(curl(access, "m", "1", inputs))
    [(_, headers, body)] = requests
    length = int(headers["inference-header-content-length"])
    described = json.loads(body[:length])["inputs"]
    sizes = [each["parameters"]["binary_data_size"] for each in described]
    assert sum(sizes) == zeros
    assert body[length:] == bytes(zeros)
    assert headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "inputs", [(PIXELS, TOKENS), (TEXT,), (HALF, BRAIN)], ids=["numbers", "text", "short floats"]
)
def test_the_python_program_runs(recorder, inputs):
    requests, access = recorder
    program = python(access, "digits", "2", inputs)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    [(path, headers, body)] = requests
    assert path == "/v2/models/digits/versions/2/infer"
    assert headers["authorization"] == "Bearer secret"
    length = int(headers["inference-header-content-length"])
    named = [each["name"] for each in json.loads(body[:length])["inputs"]]
    assert named == [each.name for each in inputs]


def test_with_tls_the_commands_name_the_authority():
    access = Access("https://127.0.0.1:8000", "token", "ca.pem")
    assert "--cacert ca.pem" in curl(access, "m", "1", (PIXELS,))
    assert "ssl_options={\"ca_certs\": 'ca.pem'}" in python(access, "m", "1", (PIXELS,))
    assert "create_default_context(cafile='ca.pem')" in chat_python(access, "m")
