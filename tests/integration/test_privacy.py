"""Privacy policies in a running gateway: changes are applied, mistakes are not."""

from collections.abc import Iterator

import httpx
import pytest

from chaos.mesh import Mesh
from tests.integration.mesh_models import echo_name, write_echoes
from tests.routing.rules.written_routes import privacy, text

ECHO = echo_name("BYTES")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("privacy")
    write_echoes(folder / "models")
    arms = [{"name": "only", "model": ECHO, "version": "1"}]
    route = text(match=[{"model": ECHO}], backends=arms, privacy={"policy": "bank"})
    routes = {"echo.yaml": route, "bank.yaml": privacy("bank", default={"action": "hash"})}
    with Mesh(folder, routes=routes) as mesh:
        mesh.start_backend("backend", folder / "models")
        mesh.wait_ready((ECHO, "1"))
        yield mesh


@pytest.fixture(scope="module")
def client(mesh: Mesh) -> Iterator[httpx.Client]:
    with mesh.client("infer:*") as client:
        yield client


def said(client: httpx.Client, value: str = "bob@example.com") -> str:
    """What comes back."""
    tensor = {"name": "x", "datatype": "BYTES", "shape": [1, 2], "data": [value, "-"]}
    reply = client.post(f"/v2/models/{ECHO}/infer", json={"inputs": [tensor]})
    return str(reply.raise_for_status().json()["outputs"][0]["data"][0])


def problem(mesh: Mesh) -> str:
    return str(mesh.admin("GET", "/admin/routes").json()["problem"])


def test_a_policy_that_changes_is_applied_and_one_that_is_wrong_is_not(
    mesh: Mesh, client: httpx.Client
) -> None:
    assert said(client).startswith("[EMAIL#")
    mesh.write_route("bank.yaml", privacy("bank", default={"action": "replace"}))
    mesh.wait(lambda: said(client) == "[EMAIL]", "the policy to be applied")

    mesh.write_route("bank.yaml", privacy("bank", patterns=[{"entity": "X", "pattern": "("}]))
    mesh.wait(lambda: "the pattern of X is not RE2" in problem(mesh), "the policy to be refused")
    assert said(client) == "[EMAIL]"

    mesh.write_route("bank.yaml", privacy("banks"))
    mesh.wait(lambda: 'did you mean "banks"?' in problem(mesh), "the name to be missed")
    assert said(client) == "[EMAIL]"

    observing = privacy("bank", mode="observe", default={"action": "block"})
    mesh.write_route("bank.yaml", observing)
    mesh.wait(lambda: said(client) == "bob@example.com", "the policy to observe")
    assert problem(mesh) == ""


def test_what_was_found_is_counted_by_route_and_entity(mesh: Mesh) -> None:
    def counted() -> bool:
        page = mesh.metrics()
        return all(
            f'penstock_privacy_found_total{{route="fraud",entity="EMAIL",mode="{mode}"}}' in page
            for mode in ("enforce", "observe")
        )

    mesh.wait(counted, "found values to be counted")


def test_a_blocked_request_is_refused_with_types_and_counts(
    mesh: Mesh, client: httpx.Client
) -> None:
    mesh.write_route("bank.yaml", privacy("bank", default={"action": "block"}))

    def refused() -> bool:
        try:
            said(client)
        except httpx.HTTPStatusError as error:
            sentence = "the privacy policy refuses this text: 1 EMAIL"
            return error.response.status_code == 403 and error.response.json()["error"] == sentence
        return False

    mesh.wait(refused, "the request to be refused")
