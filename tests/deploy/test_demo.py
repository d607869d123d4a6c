"""The demo, end to end: real processes, real models, every answer compared."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.ports import free_ports
from tests import tiny_llama

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
CONFIG = """
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
routes: routes
issuers:
  - {{name: dev, issuer: dev, algorithm: HS256, secretFile: state/secret, development: true}}
listeners:
  http: {{address: "127.0.0.1:{0}"}}
  grpc: {{address: "127.0.0.1:{1}"}}
  admin: {{address: "127.0.0.1:{2}"}}
  discovery: {{address: "127.0.0.1:{3}"}}
backends:
  - {{runtime: torch, repository: models}}
  - {{runtime: onnx, repository: models}}
  - {{runtime: llm, repository: language, memoryBudget: 16MiB, threads: 1}}
"""


def train(repository: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(DEMO / "train.py"), str(repository.parent), "digits"],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("demo") / "models"
    assert "images that it has not seen" in train(made)
    return made


@pytest.fixture
def up(repository: Path) -> Iterator[subprocess.Popen[str]]:
    file = repository.parent / "penstock.yaml"
    file.write_text(CONFIG.format(*free_ports(4)))
    (repository.parent / "routes").mkdir()
    shutil.copy(DEMO / "routes" / "digits.yaml", repository.parent / "routes")
    tiny_llama.write(repository.parent / "language" / "tiny")
    classify = shlex.join([sys.executable, str(DEMO / "classify.py"), str(repository)])
    tour = shlex.join([sys.executable, "-m", "gateway", "tour", "--config", str(file)])
    then = shlex.join(["sh", "-c", f"{classify} && {tour}"])
    arguments = [sys.executable, "-m", "gateway", "up", "--config", str(file), "--then", then]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process
        process.kill()


def test_the_model_is_made_once(repository: Path):
    files = {path: path.stat().st_mtime_ns for path in repository.rglob("*")}
    assert train(repository) == ""
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*")} == files


@pytest.mark.parametrize("there", [True, False], ids=["open before", "made"])
def test_the_folder_of_models_and_secrets_is_nobody_elses(tmp_path: Path, there: bool):
    state = tmp_path / ".penstock"
    if there:
        state.mkdir()
        state.chmod(0o755)
    program = tmp_path / "deploy" / "demo" / "train.py"
    program.parent.mkdir(parents=True)
    shutil.copy(DEMO / "train.py", program)
    nothing = [sys.executable, str(program), str(state / "demo"), "nothing"]
    subprocess.run(nothing, check=True, timeout=60, umask=0)
    assert state.stat().st_mode & 0o777 == 0o700


@pytest.mark.timeout(300)
def test_every_version_answers_as_it_does_alone_and_the_tour_shows_what_it_promises(
    up: subprocess.Popen[str], repository: Path
):
    lines = []
    for line in up.stdout or ():
        lines.append(line)
        if line.startswith("Serving"):
            up.send_signal(signal.SIGINT)
    told = "".join(lines)
    assert up.wait(30) == 0, told
    assert "Accuracy through the gateway equals the model's own, to the image." in told
    assert lines[-1] == "Everything has stopped.\n"
    toured = " ".join(told.split())
    assert "400 answers" in toured
    assert "compared pairs" in toured
    assert "rolled back after" in toured
    assert re.search(r"the model saw .*?\[EMAIL_\w{6}\]", toured)
    assert re.search(r"more answers in the \S+ s after it, 0 failures", toured)
    assert re.search(r"[\d.]+ times as many", toured)
    assert (repository.parent / "state" / "tour" / "shadow-report.html").stat().st_size > 10_000
    assert sorted(each.name for each in (repository.parent / "routes").iterdir()) == ["digits.yaml"]
    assert sorted(each.name for each in repository.iterdir()) == ["digits"]
