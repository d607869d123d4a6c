"""Paths that carry load are found, bounded and answered here."""

import orjson
import pytest

from gateway.http.dispatch import Dispatch
from protos.values import Timeline


class Faces:
    """An action and an observer that keep what they are told."""

    def __init__(self):
        self.asked = []
        self.failures = []

    async def infer(self, head, receive, send, model, version):
        self.asked.append((model, version))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def observe(self, model: str, face: str, timeline: Timeline, error: Exception | None):
        self.failures.append(error)

    async def post(self, path):
        sent = []

        async def send(message):
            sent.append(message)

        app = Dispatch({"infer": self.infer}, self.infer, self.observe)
        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
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
