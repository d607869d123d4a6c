"""Routes on a real mesh: splits that stick, pins, reloads, what clients and operators are told."""

import json
from collections import Counter
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chaos.mesh import Mesh
from policies.tokens import issue
from tests.command_line import penstock
from tests.integration import mesh_models as models

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0]}]}

ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: fraud, owner: risk}}
spec:
  match: [{{model: fraud}}]
  backends:
    - {{name: stable, model: tells, version: "1", weight: {stable}}}
    - {{name: canary, model: tells, version: "2", weight: {canary}}}
  sticky: {{key: jwt.sub, salt: s}}
"""
# More specific: this tenant never sees the canary.
CAREFUL = """
apiVersion: penstock/v1
kind: Route
metadata: {name: careful}
spec:
  match: [{model: fraud, tenants: [bank]}]
  backends: [{name: stable, model: tells, version: "1"}]
  showArm: admins
"""
# Takes whatever begins so.
PATTERN = """
apiVersion: penstock/v1
kind: Route
metadata: {name: any}
spec:
  match: [{model: "any-*"}]
  backends: [{name: stable, model: tells, version: "1"}]
"""


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def mesh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("routes")
    repository = folder / "models"
    models.write_versions(repository, "tells", (1, 2, 3))
    routes = {"fraud.yaml": ROUTE.format(stable=50, canary=50), "careful.yaml": CAREFUL}
    routes["any.yaml"] = PATTERN
    with Mesh(folder, workers=request.param, routes=routes) as mesh:
        mesh.start_backend("only", repository)
        mesh.wait_ready(("tells", "1"), ("tells", "2"), ("tells", "3"))
        yield mesh


def infer(mesh: Mesh, subject: str, *, tenant: str = "acme", version: str = "") -> httpx.Response:
    token = issue(
        mesh.issuer,
        tenant=tenant,
        scopes=("infer:fraud",),
        subject=subject,
        lifetime=600.0,
        now=mesh.now(),
    )
    pin = f"/versions/{version}" if version else ""
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(f"{mesh.url}/v2/models/fraud{pin}/infer", json=BODY, headers=headers)


def arm(response: httpx.Response) -> str:
    """Which arm the answer itself comes from."""
    assert response.status_code == 200, response.text
    (value,) = response.json()["outputs"][0]["data"]
    return {1: "stable", 2: "canary", 3: "third"}[value]


def applied(mesh: Mesh) -> dict[str, str]:
    found: dict[str, str] = mesh.admin("GET", "/admin/routes").json()["workers"]
    return found


def reload(mesh: Mesh, name: str, text: str) -> None:
    before = mesh.admin("GET", "/admin/routes").json()["revision"]
    mesh.write_route(name, text)
    mesh.wait(lambda: set(applied(mesh).values()) != {before}, "another revision")
    mesh.wait(lambda: len(set(applied(mesh).values())) == 1, "all workers to have it")


def metric(mesh: Mesh, name: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(mesh.metrics())
        for sample in family.samples
        if sample.name == name
    )


def test_users_are_split_and_stay_where_they_are(mesh: Mesh) -> None:
    users = [f"user-{i}" for i in range(40)]

    first = {user: arm(infer(mesh, user)) for user in users}

    assert {user: arm(infer(mesh, user)) for user in users} == first
    assert 5 < Counter(first.values())["canary"] < 35


def test_the_reply_tells_the_arm_and_keeps_the_public_name(mesh: Mesh) -> None:
    response = infer(mesh, "user-1")

    assert response.headers["x-penstock-arm"] == f"fraud/{arm(response)}"
    assert response.json()["model_name"] == "fraud"


def test_a_raised_weight_only_adds_users(mesh: Mesh) -> None:
    users = [f"user-{i}" for i in range(40)]
    reload(mesh, "fraud.yaml", ROUTE.format(stable=80, canary=20))
    before = {user for user in users if arm(infer(mesh, user)) == "canary"}

    reload(mesh, "fraud.yaml", ROUTE.format(stable=50, canary=50))
    after = {user for user in users if arm(infer(mesh, user)) == "canary"}

    assert before < after


def test_the_most_specific_route_wins(mesh: Mesh) -> None:
    answers = [infer(mesh, f"user-{i}", tenant="bank") for i in range(10)]

    assert {arm(each) for each in answers} == {"stable"}
    assert not any("x-penstock-arm" in each.headers for each in answers)


def test_a_version_in_the_path_wins_where_an_arm_has_it(mesh: Mesh) -> None:
    for user in ("user-1", "user-2", "user-3"):
        assert arm(infer(mesh, user, version="2")) == "canary"
    refused = infer(mesh, "user-1", version="3")

    assert refused.status_code == 404
    assert "fraud" in refused.json()["error"]


def test_the_arms_own_model_is_not_reached_by_who_may_use_the_route_only(mesh: Mesh) -> None:
    token = mesh.token("infer:fraud")
    headers = {"authorization": f"Bearer {token}"}

    response = httpx.post(f"{mesh.url}/v2/models/tells/infer", json=BODY, headers=headers)

    assert response.status_code == 404


def test_the_public_name_has_metadata_and_is_ready(mesh: Mesh) -> None:
    with mesh.client("infer:fraud") as client:
        described = client.get("/v2/models/fraud").json()
        ready = client.get("/v2/models/fraud/ready")

    assert described["name"] == "fraud"
    assert [each["name"] for each in described["inputs"]] == ["x"]
    assert ready.status_code == 200


def test_the_public_name_is_listed_and_counted_as_its_own(mesh: Mesh) -> None:
    infer(mesh, "user-1")
    with mesh.client("infer:fraud") as client:
        listed = client.post("/v2/repository/index", json={}).json()
        stats = client.get("/v2/models/fraud/stats").json()["model_stats"]
        ready = client.get("/v2/models/fraud/versions/3/ready")

    assert {(each["name"], each["version"]) for each in listed} == {("fraud", "1"), ("fraud", "2")}
    assert {each["name"] for each in stats} == {"fraud"}
    assert ready.status_code == 404  # as it is for inference: no arm has that version


def test_names_that_a_pattern_takes_share_a_label(mesh: Mesh) -> None:
    headers = {"authorization": f"Bearer {mesh.token('infer:any-*')}"}
    for number in range(3):
        path = f"{mesh.url}/v2/models/any-{number}/infer"
        assert httpx.post(path, json=BODY, headers=headers).status_code == 200
        # Nor do those of strangers to the model leave a trace.
        assert httpx.post(f"{mesh.url}/v2/models/any/{number}", json=BODY).status_code >= 400

    mesh.wait(lambda: 'route="any"' in mesh.metrics(), "the workers to report")
    assert "any-" not in mesh.metrics()


def test_tritonclient_follows_the_route_and_reads_the_arm(mesh: Mesh) -> None:
    headers = {"authorization": f"Bearer {mesh.token('infer:fraud')}"}
    x = triton.InferInput("x", [1, 1], "FP32")
    x.set_data_from_numpy(np.zeros((1, 1), np.float32))
    with triton.InferenceServerClient(mesh.address("grpc")) as client:
        answer = client.infer("fraud", [x], headers=headers)

    assert answer.get_response().model_name == "fraud"
    assert answer.as_numpy("version").item() in (1.0, 2.0)


def test_a_refused_file_changes_nothing_and_shows(mesh: Mesh) -> None:
    before = applied(mesh)
    refusals = metric(mesh, "penstock_routes_refused_total")

    mesh.write_route("fraud.yaml", ROUTE.format(stable=50, canary=50).replace("weight", "wieght"))
    mesh.wait(
        lambda: metric(mesh, "penstock_routes_refused_total") > refusals, "the file to be refused"
    )

    told = mesh.admin("GET", "/admin/routes").json()
    assert "fraud.yaml:" in told["problem"]
    assert "did you mean" in told["problem"]
    assert applied(mesh) == before
    assert infer(mesh, "user-1").status_code == 200
    assert "wieght" in mesh.gateway.last_words()
    mesh.write_route("fraud.yaml", ROUTE.format(stable=50, canary=50))
    mesh.wait(lambda: not mesh.admin("GET", "/admin/routes").json()["problem"], "it to be mended")


def test_explain_says_what_the_serving_code_does(mesh: Mesh) -> None:
    users = {arm(infer(mesh, user)): user for user in (f"user-{i}" for i in range(20))}
    assert len(users) == 2
    for serving, user in users.items():
        command = ["routes", "explain", "--model", "fraud", "--tenant", "acme", "--subject", user]
        explained = json.loads(told(mesh, *command, "--issuer", "tests", "--json"))

        assert explained["arm"] == serving
        assert explained["route"] == "fraud"


def told(mesh: Mesh, *arguments: str) -> str:
    done = penstock(*arguments, "--config", str(mesh.file))
    done.check_returncode()
    return done.stdout
