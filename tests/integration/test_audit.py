"""The audit log of a real mesh: who did what, in chains that hold, whatever became of the disk."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import tritonclient.grpc as triton

from chaos.mesh import Mesh
from gateway.audit.read import Wanted, records
from gateway.audit.seal import read_seal
from gateway.audit.verify import verify
from tests.command_line import penstock
from tests.integration import mesh_models as models

VALUE = 4711.25
SECRET = "jane.doe@example.com"
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: fraud}}
spec:
  match: [{{model: fraud}}]
  backends: [{{name: stable, model: tells, version: "1"}}]
  limits: [{{per: key, requests: 1000/s, burst: {burst}}}]
"""
QUIET = """
apiVersion: penstock/v1
kind: Route
metadata: {name: quiet}
spec:
  match: [{model: quiet}]
  backends: [{name: stable, model: tells, version: "1"}]
  audit: {requests: none}
"""
BODY = {
    "id": SECRET,
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [VALUE]}],
}


class Audited:
    """A mesh and its log."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.folder = mesh.folder / "state" / "audit"

    def records(self, what: str = "", **facts: Any) -> list[dict[str, Any]]:
        found = records(self.folder, Wanted(what=what))
        return [each for each in found if facts.items() <= each.items()]

    def wait(self, what: str, **facts: Any) -> dict[str, Any]:
        """The first record of that kind with these facts, when it is there."""
        self.mesh.wait(lambda: bool(self.records(what, **facts)), f"a record {what} of {facts}")
        return self.records(what, **facts)[0]

    def verified(self) -> list[str]:
        report = verify(self.folder, read_seal(self.mesh.folder / "audit.key"))
        assert report.chains
        return [str(each) for each in report.findings if each.fault]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    folder = tmp_path_factory.mktemp("audit")
    (folder / "audit.key").write_text("0123456789abcdef")
    models.write_versions(folder / "models", "tells", (1,))
    routes = {"fraud.yaml": ROUTE.format(burst=1000), "quiet.yaml": QUIET}
    more = f"audit: {{keyFile: {folder}/audit.key, strangers: 3}}\n"
    with Mesh(folder, workers=2, routes=routes, more=more) as mesh:
        mesh.start_backend("only", folder / "models")
        mesh.wait_ready(("tells", "1"))
        yield Audited(mesh)


def infer(mesh: Mesh, model: str = "fraud", **headers: str) -> httpx.Response:
    with mesh.client("infer:fraud", "infer:quiet", "infer:tells") as client:
        return client.post(f"/v2/models/{model}/infer", json=BODY, headers=headers)


def test_a_request_is_recorded_with_who_what_and_what_was_decided(audited: Audited):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"x-request-id": "mine-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    assert infer(audited.mesh, **headers).status_code == 200
    found = audited.wait("request", request="mine-1")
    told = {
        "tenant": "tests",
        "subject": "tester",
        "issuer": "tests",
        "model": "fraud",
        "face": "http",
        "decision": "allowed",
        "status": 200,
        "route": "fraud",
        "arm": "stable",
        "served": "tells",
        "version": "1",
        "rows": 1,
        "trace": trace,
    }
    assert found.items() >= told.items()
    assert re.fullmatch("[0-9a-f]{16}", found["policies"])
    assert 0 < found["seconds"] < 60


def test_a_grpc_request_is_recorded_as_well(audited: Audited):
    mesh = audited.mesh
    with triton.InferenceServerClient(mesh.address("grpc")) as client:
        given = triton.InferInput("x", [1, 1], "FP32")
        given._raw_content = bytes(4)
        token = {"authorization": f"Bearer {mesh.token('infer:fraud')}", "x-request-id": "by-grpc"}
        client.infer("fraud", [given], headers=token, request_id=SECRET)
    found = audited.wait("request", face="grpc", request="by-grpc")
    assert (found["decision"], found["status"], found["arm"]) == ("allowed", 200, "stable")


def test_refusals_say_who_refused(audited: Audited):
    assert infer(audited.mesh, "hidden").status_code == 404
    found = audited.wait("request", decision="refused", status=404)
    assert found.items() >= {"model": "other", "error": "NOT_FOUND", "by": "authorise"}.items()


def test_what_a_route_keeps_out_is_not_recorded(audited: Audited):
    assert infer(audited.mesh, "quiet", **{"x-request-id": "quiet-1"}).status_code == 200
    assert infer(audited.mesh, **{"x-request-id": "loud-1"}).status_code == 200
    audited.wait("request", request="loud-1")
    assert not audited.records("request", request="quiet-1")


def test_strangers_are_recorded_few_of_them_and_the_rest_is_counted(audited: Audited):
    before = len(audited.records("stranger"))
    count = 60
    with httpx.Client(base_url=audited.mesh.url) as client:
        for _ in range(count):
            client.post("/v2/models/fraud/infer", json=BODY, headers={"authorization": "Bearer x"})

    def told() -> int:
        left_out = sum(each["left_out"] for each in audited.records("strangers"))
        return len(audited.records("stranger")) - before + left_out

    audited.mesh.wait(lambda: told() >= count, "all strangers to be accounted for")
    first = audited.records("stranger", face="http")[0]
    assert first["peer"] == "127.0.0.1"
    assert first["why"]
    assert audited.records("strangers")


def test_the_control_and_admin_faces_tell_strangers_too(audited: Audited):
    mesh = audited.mesh
    assert httpx.get(f"{mesh.url}/v2/models/fraud").status_code == 401
    assert httpx.get(f"http://{mesh.address('admin')}/admin/routes").status_code == 401
    audited.wait("stranger", face="admin")


def test_what_people_do_is_on_record_before_it_is_done(audited: Audited):
    mesh = audited.mesh
    with mesh.client("admin", "infer:tells") as client:
        assert client.post("/v2/repository/models/tells/load").status_code == 200
        assert client.post("/v2/repository/models/absent/unload").status_code != 200
    assert audited.records("model.load", model="tells", subject="tester", tenant="tests")
    assert audited.records("model.unload", model="absent")
    audited.wait("model.unload.failed", model="absent")


def test_changed_and_refused_routes_are_recorded(audited: Audited):
    (started,) = audited.records("routes.changed")[:1]
    assert started["new"] == ["fraud", "quiet"]
    audited.mesh.write_route("fraud.yaml", ROUTE.format(burst=999))
    changed = audited.wait("routes.changed", changed=["fraud"])
    assert changed["former"] == started["policies"] != changed["policies"]
    audited.mesh.write_route("fraud.yaml", "kind: Rout")
    refused = audited.wait("routes.refused")
    assert "fraud.yaml" in refused["problem"]
    audited.mesh.write_route("fraud.yaml", ROUTE.format(burst=999))


def test_nothing_of_a_payload_is_in_the_log(audited: Audited):
    infer(audited.mesh, **{"x-request-id": "last-1"})
    audited.wait("request", request="last-1")
    written = b"".join(path.read_bytes() for path in audited.folder.iterdir())
    assert SECRET.encode() not in written
    assert str(VALUE).encode() not in written


def test_the_chains_of_all_processes_hold_while_they_are_written(audited: Audited):
    assert audited.verified() == []
    (page,) = [audited.mesh.metrics()]
    assert re.search(r"penstock_audit_records_written_total [1-9]", page)
    assert "penstock_audit_records_dropped_total 0" in page


def test_the_command_line_shows_and_verifies(audited: Audited):
    file = str(audited.mesh.file)
    shown = penstock(
        "audit",
        "show",
        "--config",
        file,
        "--decision",
        "refused",
        "--format",
        "json",
        "--since",
        "1h",
    )
    assert shown.returncode == 0, shown.stderr
    assert {json.loads(line)["decision"] for line in shown.stdout.splitlines()} == {"refused"}
    verified = penstock("audit", "verify", "--config", file)
    assert verified.returncode == 0, verified.stdout
    assert ", 0 faults" in verified.stdout


def test_a_gateway_that_is_killed_leaves_what_holds_and_the_next_one_says_so(tmp_path: Path):
    (tmp_path / "audit.key").write_text("0123456789abcdef")
    with Mesh(tmp_path, more=f"audit: {{keyFile: {tmp_path}/audit.key}}\n") as mesh:
        audited = Audited(mesh)
        mesh.wait(lambda: bool(audited.folder.exists() and audited.records("begin")), "the log")
        mesh.wait(mesh_answers(mesh), "the gateway to answer")
        mesh.gateway.signal(signal.SIGKILL)
        mesh.wait(lambda: mesh.gateway.status is not None, "the gateway's end")
        assert any("killed, or the end is missing" in each for each in audited.verified())
        mesh.start_gateway()
        mesh.wait(lambda: audited.verified() == [], "the next start to acknowledge the end")
        assert "was not closed" in mesh.process("gateway").log.read_text()


def test_where_requests_need_records_they_are_refused_without(tmp_path: Path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "audit").write_text("a file where the folder should be")
    models.write_versions(tmp_path / "models", "tells", (1,))
    with Mesh(tmp_path, more="audit: {onFailure: refuse}\n") as mesh:
        mesh.start_backend("only", tmp_path / "models")
        mesh.wait_ready(("tells", "1"))
        refused = infer(mesh, "tells")
        assert refused.status_code == 503
        assert "can't be written" in refused.json()["error"]
        with mesh.client("admin") as client:
            assert client.post("/v2/repository/models/tells/load").status_code == 503
        (tmp_path / "state" / "audit").unlink()
        mesh.wait(lambda: infer(mesh, "tells").status_code == 200, "the log to be written again")


def mesh_answers(mesh: Mesh):
    def answers() -> bool:
        try:
            return httpx.get(f"{mesh.url}/v2/health/live").status_code == 200
        except httpx.TransportError:
            return False

    return answers
