"""What a route asks of its requests holds for chats, whole and streamed: all of it at once."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.integration.mesh import Mesh
from tests.openai_server import Server, serving

SAID = "write to ada@example.org and not to bob@example.org"
ROUTES = {
    "assistant.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: assistant}
spec:
  match: [{model: assistant}]
  backends: [{name: stable, model: echo, version: "1"}]
  mirror: [{backend: other, model: undone, version: "1", percent: 100, compare: {kind: auto}}]
  privacy: {policy: bank}
  cache: {ttl: 5m}
  limits: [{per: tenant, tokens: 100k/1h}]
""",
    "bank.yaml": """
apiVersion: penstock/v1
kind: Privacy
metadata: {name: bank}
spec:
  default: {action: restore}
""",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mesh, Server]]:
    folder: Path = tmp_path_factory.mktemp("policies")
    server = Server()
    with serving(server) as url, Mesh(folder, routes=ROUTES) as mesh:
        mesh.join_openai("llm", url, "--revision", "of these tests")
        mesh.wait_ready(("echo", "1"), ("undone", "1"))
        yield mesh, server


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
def test_policies_hold_for_a_chat(site: tuple[Mesh, Server], streaming: bool) -> None:
    mesh, server = site
    client = openai.OpenAI(base_url=f"{mesh.url}/v1", api_key=mesh.token("infer:*"), max_retries=0)
    server.requests.clear()

    def ask() -> tuple[str, str]:
        """What the client reads, and where it was from."""
        answer = client.chat.completions.with_raw_response.create(
            model="assistant",
            messages=[{"role": "user", "content": SAID}],
            temperature=0,
            stream=streaming,
        )
        parsed = answer.parse()
        if streaming:
            said = "".join(chunk.choices[0].delta.content or "" for chunk in parsed)
        else:
            said = parsed.choices[0].message.content
        return said, answer.headers["x-cache"]

    assert ask() == (SAID, "miss")
    assert ask() == (SAID, "hit")
    mesh.wait(lambda: len(server.requests) == 2, "the copy of the request that was executed")
    for asked in server.requests:  # the primary's, and the mirror's
        seen = asked["messages"][0]["content"]
        assert "example.org" not in seen
        assert seen.count("[EMAIL_") == 2
    assert {asked["model"] for asked in server.requests} == {"echo", "undone"}
    mesh.wait(lambda: _compared(mesh) >= (2 if streaming else 1), "the answers to be compared")


def _compared(mesh: Mesh) -> float:
    wanted = 'penstock_mirrored_total{mirror="other",outcome="compared"'
    lines = [line for line in mesh.metrics().splitlines() if line.startswith(wanted)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
