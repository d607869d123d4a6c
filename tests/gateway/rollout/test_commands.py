"""`penstock rollout` against a gateway's admin face on a free port."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from gateway.rollout.commands import app, drawn
from gateway.rollout.status import described
from protos.errors import PenstockError
from routing.rollout.begin import begin, begin_over
from routing.rollout.evidence import Evidence
from tests.routing.rollout.made_routes import (
    ANALYSIS,
    CANARY,
    DISAGREEMENT,
    ERRORS,
    LATENCY,
    MIRROR,
    PAUSE,
    UNDECIDED,
    route,
)

DOCUMENT = route(MIRROR, CANARY, ANALYSIS, PAUSE, metrics=(ERRORS, LATENCY, DISAGREEMENT))
STATE = replace(begin(DOCUMENT, 100.0), step=2, weight=5.0, reason="the candidate has 5 %")
_, EVENTS = begin_over(None, DOCUMENT, 100.0)


def row(status: str = "progressing", evidence: Evidence | None = UNDECIDED) -> dict[str, Any]:
    return described(replace(STATE, status=status), DOCUMENT, evidence, EVENTS, 400.0)


class Face(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self._answer({"leads": True, "problem": "", "rollouts": [row()]})

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self._answer(row("paused"))

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def config(tmp_path: Path, asked: list[str]) -> Iterator[str]:
    face = type("FaceOfATest", (Face,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), face)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    file = tmp_path / "penstock.yaml"
    file.write_text(
        f"""
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
listeners: {{admin: {{address: '127.0.0.1:{server.server_port}'}}}}
issuers:
  - {{name: dev, issuer: dev, algorithm: HS256, secretFile: state/secret, development: true}}
"""
    )
    yield str(file)
    server.shutdown()
    server.server_close()


def penstock(config: str, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--config", config], env={"COLUMNS": "160"})
    if isinstance(result.exception, PenstockError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_status_shows_step_weight_findings_reason_and_history(config: str):
    shown = penstock(config, "status")
    assert "step 3 of 4" in shown
    assert "[analysis 15m]" in shown
    assert "5 %" in shown
    assert "error_rate" in shown
    assert "+0.50 pp" in shown
    assert "×1.2" in shown
    assert "begin" in shown
    assert "controller" in shown


def test_nothing_that_others_named_reaches_the_terminal_as_an_order():
    evil = "\x1b[2J\x1b]0;owned\x07\u202e[bold]"
    said = row()
    for name in ("route", "candidate", "baseline", "reason", "now"):
        said[name] = f"{name}{evil}"
    event = {**said["history"][0]} | {
        name: f"{name}{evil}" for name in ("actor", "action", "reason")
    }
    finding = {**said["findings"][0], "metric": f"metric{evil}", "reason": f"why{evil}"}
    said |= {"history": [event], "findings": [finding]}
    file = StringIO()
    Console(width=2_000, file=file, force_terminal=True, color_system=None).print(drawn(said))
    shown = file.getvalue()
    assert not set("\x1b\x07\u202e") & set(shown)
    assert shown.count("⟨U+001B⟩[2J⟨U+001B⟩]0;owned⟨U+0007⟩⟨U+202E⟩[bold]") == 10


def test_programs_get_json(config: str):
    answer = json.loads(penstock(config, "status", "fraud", "--json"))
    assert [each["route"] for each in answer["rollouts"]] == ["fraud"]


def test_a_route_that_has_none_is_named(config: str):
    with pytest.raises(PenstockError, match='"fruad"; did you mean "fraud"'):
        penstock(config, "status", "fruad")


@pytest.mark.parametrize("action", ["pause", "resume", "abort"])
@pytest.mark.parametrize("how", [("fraud",), ("--route", "fraud")])
def test_actions_take_the_route_either_way(config: str, asked: list[str], action: str, how):
    shown = penstock(config, action, *how)
    assert asked == [f"/admin/rollouts/fraud/{action}"]
    assert shown.startswith("fraud: paused, the candidate canary has 5 %, step ")
    assert "analysis 15m" in shown


def test_two_different_routes_are_refused(config: str):
    with pytest.raises(PenstockError, match="--route"):
        penstock(config, "pause", "fraud", "--route", "other")


def test_an_action_needs_a_route(config: str):
    result = CliRunner().invoke(app, ["pause", "--config", config])
    assert result.exit_code == 2
    assert "name the route" in result.output


@pytest.mark.parametrize("status", ["rolled_back", "completed", "aborted", "held", "waiting"])
def test_every_status_can_be_drawn_at_any_width(status: str):
    for width in (40, 200):
        console = Console(width=width, record=True, file=StringIO())
        console.print(drawn(row(status, None)))
        console.print(drawn(described(replace(STATE, status=status), None, None, [], 0.0)))
        assert status.replace("_", " ") in " ".join(console.export_text().split())
