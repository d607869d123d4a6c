"""Names in a running gateway: its workers have readers, which end with them."""

from pathlib import Path

import httpx
import pytest

from chaos.mesh import Mesh
from tests.integration.mesh_models import echo_name, write_echoes
from tests.policies.pii.deep.people_model import make
from tests.routing.rules.written_routes import privacy, text

ECHO = echo_name("BYTES")


def readers(model: Path) -> list[int]:
    """Processes that hold the model."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if str(model).encode() in line:
            found.append(int(process.name))
    return found


@pytest.mark.timeout(300)
def test_names_are_hidden_once_the_model_is_loaded_and_until_then_nothing_passes(
    tmp_path: Path,
) -> None:
    people = make(tmp_path / "people")
    write_echoes(tmp_path / "models")
    deep = {"model": str(people), "timeout": "10s"}
    policy = privacy("names", default={"action": "replace"}, deep=deep)
    arms = [{"name": "only", "model": ECHO, "version": "1"}]
    route = text(match=[{"model": ECHO}], backends=arms, privacy={"policy": "names"})
    said: set[str] = set()

    def hidden() -> bool:
        tensor = {"name": "x", "datatype": "BYTES", "shape": [1, 2], "data": ["Ada Lovelace", "-"]}
        reply = client.post(f"/v2/models/{ECHO}/infer", json={"inputs": [tensor]})
        if reply.status_code == 200:
            said.add(reply.json()["outputs"][0]["data"][0])
        else:
            assert reply.status_code == 503, reply.text
            assert "Ada" not in reply.text
        return reply.status_code == 200

    with Mesh(tmp_path, routes={"echo.yaml": route, "names.yaml": policy}) as mesh:
        mesh.start_backend("backend", tmp_path / "models")
        mesh.wait_ready((ECHO, "1"))
        with mesh.client("infer:*") as client:
            client.timeout = httpx.Timeout(30.0)
            mesh.wait(hidden, "the model to be loaded")
            assert said == {"[PERSON]"}
            assert len(readers(people)) == 1
    assert readers(people) == []
