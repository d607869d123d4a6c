"""`penstock up`: what it shows, what it starts again, and that it leaves nothing behind."""

import json
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.ports import free_ports

STAND_IN = Path(__file__).with_name("stand_in_up.py")
CONFIG = """
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
issuers:
  - {{name: dev, issuer: dev, algorithm: HS256, secretFile: state/secret, development: true}}
listeners:
  http: {{address: "127.0.0.1:{http}"}}
  admin: {{address: "127.0.0.1:{admin}"}}
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Session:
    """A run of `up` whose lines are read as they come."""

    def __init__(self, folder: Path, then: str = "") -> None:
        http, admin = free_ports(2)
        self.mesh = folder / "mesh.json"
        (folder / "penstock.yaml").write_text(CONFIG.format(http=http, admin=admin))
        self.url = f"http://127.0.0.1:{http}"
        self.serve(("2", "READY", ""))
        self.process = subprocess.Popen(
            [sys.executable, str(STAND_IN), str(folder / "penstock.yaml"), str(self.mesh), then],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.seen: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put(line.rstrip("\n"))

    def serve(self, *versions: tuple[str, str, str], name: str = "pairs", **more: object) -> None:
        """Has the mesh serve these versions of a model: version, state, reason."""
        facts = {"name": name, "revision": "a", "platform": "", "decoupled": False, **more}
        models = [{**facts, "version": v, "state": s, "reason": r} for v, s, r in versions]
        draft = self.mesh.with_suffix(".draft")
        draft.write_text(json.dumps([{"instance": "onnx", "state": "ready", "models": models}]))
        draft.replace(self.mesh)

    def line(self, pattern: str, seconds: float = 15.0) -> re.Match[str]:
        """The next line in which the pattern is found."""
        end = time.monotonic() + seconds
        while True:
            try:
                text = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line has {pattern!r} among {self.seen}") from None
            self.seen.append(text)
            found = re.search(pattern, text)
            if found:
                return found

    def end(self, number: int) -> int:
        """Sends a signal; the exit status, when all lines have been read."""
        self.process.send_signal(number)
        status = self.process.wait(20)
        self._reader.join(5)
        while not self._lines.empty():
            self.seen.append(self._lines.get())
        return status


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    then = f"{sys.executable} -c \"import os; print('then', os.environ['PENSTOCK_URL'])\""
    started = Session(tmp_path, then)
    yield started
    started.process.kill()
    started.process.wait()


def test_it_shows_how_to_ask_runs_the_command_and_stops_in_order(session: Session, tmp_path: Path):
    pids = [int(session.line(r"started as (\d+)")[1]) for _ in range(2)]
    session.line(rf"Ready after [0-9.]+ s at {session.url}$")
    session.line("pairs, version 2, on onnx")
    # Nobody sits at a terminal: what is written may be kept as a log.
    file = Path(session.line(r"^(/.*/token)$")[1])
    assert file == tmp_path / "state" / "token"
    session.line("^A link to the console: penstock token --admin$")
    session.line(rf"^curl {session.url}/v2/models/pairs/versions/2/infer -H .*Bearer")
    session.line("^client = triton.InferenceServerClient")
    session.line(f"^then {session.url}$")
    session.line("^Serving")
    assert file.read_text().strip() not in "".join(session.seen)

    assert session.end(signal.SIGINT) == 0
    told = "\n".join(session.seen)
    assert told.index("gateway finished") < told.index("backend finished")
    assert session.seen[-1] == "Everything has stopped."
    assert not any(alive(pid) for pid in pids)


def test_a_crashed_child_is_announced_and_started_again(session: Session):
    first = int(session.line(r"onnx │ backend started as (\d+)")[1])
    session.line("^Serving")
    subprocess.run(["kill", "-9", str(first)], check=True)
    session.line(r"onnx │ was killed by SIGKILL; starting it again in 0\.5 s")
    second = int(session.line(r"onnx │ backend started as (\d+)")[1])
    assert second != first
    assert session.end(signal.SIGTERM) == 0
    assert not alive(second)


def test_models_that_come_go_or_fail_are_announced_within_five_seconds(session: Session):
    session.line("^Serving")
    session.serve(("2", "READY", ""), ("3", "READY", ""), ("4", "UNAVAILABLE", "it is empty"))
    session.line("^pairs, version 3 is ready on onnx:", 5.0)
    session.line(r"^curl \S+/v2/models/pairs/versions/3/infer", 5.0)
    session.line("^pairs, version 4 is not served: it is empty", 5.0)
    session.serve(("3", "READY", ""))
    session.line("^pairs, version 2 is no longer served on onnx", 5.0)


def test_each_model_is_shown_with_the_command_that_it_answers(session: Session):
    session.line("^Serving")
    session.serve(("1", "READY", ""), name="story", decoupled=True)
    session.line(r"^curl -N \S+/v2/models/story/versions/1/generate_stream -H")
    session.serve(("1", "READY", ""), name="routed")
    session.line(r"^curl \S+/v2/models/routed/infer -H")
    session.serve(("1", "READY", ""), name="assistant", platform="openai", decoupled=True)
    session.line(r"^curl -N \S+/v1/chat/completions -H")


def test_nothing_survives_when_it_is_killed(session: Session):
    pids = [int(session.line(r"started as (\d+)")[1]) for _ in range(2)]
    session.line("^Serving")
    session.end(signal.SIGKILL)
    deadline = time.monotonic() + 5.0
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_command_that_fails_is_told_and_serving_goes_on(tmp_path: Path):
    session = Session(tmp_path, "false")
    session.line("up │ false: ended with status 1")
    session.line("^Serving")
    assert session.end(signal.SIGINT) == 0
