"""What a route asks of its requests holds for chats, whole and streamed: all of it at once."""

import pytest

from chaos.mesh import Mesh
from tests.integration.openai_site import Site

SAID = "write to ada@example.org and not to bob@example.org"


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
def test_policies_hold_for_a_chat(site: Site, streaming: bool) -> None:
    mesh, server, client = site.mesh, site.server, site.client()
    server.requests.clear()

    def ask() -> tuple[str, str]:
        """What the client reads, and where it was from."""
        answer = client.chat.completions.with_raw_response.create(
            model="guarded",
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
    wanted = ("penstock_mirrored_total{", 'mirror="other"', 'outcome="compared"')
    lines = [line for line in mesh.metrics().splitlines() if all(each in line for each in wanted)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
