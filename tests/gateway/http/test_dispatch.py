"""Paths that carry load are found, bounded and answered here."""

import orjson
import pytest

from gateway.http.dispatch import Dispatch, Found
from protos.errors import Kind, PenstockError, invalid
from protos.openai.errors import encode_error
from protos.timeline import Timeline


class Faces:
    """An action and an observer that keep what they are told."""

    def __init__(self):
        self.asked = []
        self.failures = []
        self.observed = []
        self.strangers = []

    async def infer(self, head, receive, send, model, version):
        if model == "secret":
            raise PenstockError(Kind.UNAUTHENTICATED, "who?")
        self.asked.append((model, version))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def openai(self, path: str) -> Found:
        async def chat(head, receive, send, model, version):
            head.timeline.model = "named in the body"
            raise invalid("messages: is missing", param="messages")

        async def nothing(head, receive, send, model, version):
            raise PenstockError(Kind.NOT_FOUND, "there is no such path")

        if path != "/v1/chat":
            return Found(nothing, method="", face="", encode_error=encode_error)
        return Found(chat, face="openai", encode_error=encode_error)

    def stranger(self, face: str, peer: str, error: PenstockError):
        self.strangers.append((face, peer))

    def observe(self, model: str, face: str, timeline: Timeline, error: Exception | None):
        self.failures.append(error)
        self.observed.append((model, face))

    async def post(self, path, method="POST"):
        sent = []

        async def send(message):
            sent.append(message)

        app = Dispatch({"infer": self.infer}, self.openai, self.infer, self.observe, self.stranger)
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [],
            "client": ("::1", 4711),
        }
        await app(scope, None, send)
        return sent[0]["status"], orjson.loads(sent[1]["body"])


async def test_a_path_names_the_model_and_perhaps_its_version():
    faces = Faces()
    await faces.post("/v2/models/m/infer")
    await faces.post("/v2/models/m/versions/3/infer")
    assert faces.asked == [("m", ""), ("m", "3")]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"/v2/models/{'m' * 257}/infer", "model"),
        (f"/v2/models/m/versions/{'3' * 257}/infer", "version"),
    ],
)
async def test_a_name_in_a_path_has_256_characters_at_most(path, field):
    faces = Faces()
    status, answer = await faces.post(path)
    assert (status, answer) == (400, {"error": f"{field}: is longer than 256 characters"})
    assert faces.asked == []
    assert str(faces.failures[0]) == f"{field}: is longer than 256 characters"


async def test_errors_below_v1_have_openais_shape_and_count_for_the_model_in_the_body():
    faces = Faces()
    status, answer = await faces.post("/v1/chat")
    assert status == 400
    assert answer["error"]["param"] == "messages"
    assert faces.observed == [("named in the body", "openai")]


async def test_another_method_is_refused_in_the_paths_own_shape():
    faces = Faces()
    status, answer = await faces.post("/v1/chat", method="GET")
    assert (status, answer["error"]["message"]) == (405, "this path takes POST")
    status, answer = await faces.post("/v2/models/m/infer", method="GET")
    assert (status, answer) == (405, {"error": "this path takes POST"})


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_path_that_isnt_there_isnt_there_for_any_method(method):
    status, answer = await Faces().post("/v1/nothing", method=method)
    assert (status, answer["error"]["message"]) == (404, "there is no such path")


async def test_strangers_are_told_by_their_address():
    faces = Faces()
    status, _ = await faces.post("/v2/models/secret/infer")
    assert (status, faces.strangers) == (401, [("http", "::1")])
    await faces.post("/v2/models/m/infer", method="GET")
    assert len(faces.strangers) == 1


async def test_what_is_no_inference_is_not_counted():
    faces = Faces()
    await faces.post("/v1/models")
    assert faces.observed == []
