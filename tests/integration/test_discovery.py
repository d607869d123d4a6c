"""Backends join, die, drain and come back under a real gateway, without a failed request."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chaos.mesh import Mesh
from chaos.processes import Process
from tests.integration import mesh_models as models

ECHO = ("echo_fp32", "1")
INFER = "/v2/models/echo_fp32/infer"
BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
TWO_BEATS = 2.0  # seconds


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    tensor = "datatype: FP32, shape: [-1, 2]"
    config = f"inputs: [{{name: x, {tensor}}}]\noutputs: [{{name: y, {tensor}}}]\n"
    models.write_model(folder / "echo_fp32", models.ECHO, config)
    return folder


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Mesh]:
    with Mesh(tmp_path_factory.mktemp("mesh")) as mesh:
        mesh.start_backend("steady", repository)
        mesh.wait_ready(ECHO)
        yield mesh


@pytest.fixture
def second(mesh: Mesh, repository: Path) -> Iterator[Process]:
    """A second backend with the same models, for as long as a test."""
    backend = mesh.start_backend("second", repository)
    mesh.wait_ready(ECHO, instances=2)
    yield backend
    if backend.status is None:
        backend.stop()
    mesh.wait(lambda: mesh.instance("second") is None, "the second backend to be forgotten")


class Load:
    """A few clients that ask all the time; statuses by number, and who could not even connect."""

    def __init__(self, mesh: Mesh, clients: int = 3, rate: float = 20.0) -> None:
        self.answers: Counter[str] = Counter()
        self._mesh = mesh
        self._pause = 1.0 / rate
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with self._mesh.client("infer:*") as client:
            while not self._stop.wait(self._pause):
                try:
                    reply = client.post(INFER, json=BODY)
                    self.answers[f"{reply.status_code} {reply.text}"[:200]] += 1
                except httpx.TransportError as error:
                    self.answers[repr(error)] += 1

    @property
    def failures(self) -> dict[str, int]:
        return {what: times for what, times in self.answers.items() if not what.startswith("200")}


def test_a_killed_backend_costs_no_request(mesh: Mesh, second: Process) -> None:
    with Load(mesh) as load:
        time.sleep(0.5)
        second.kill()
        time.sleep(2.0)

    assert not load.failures
    assert load.answers.total() > 50


def test_a_drained_backend_finishes_what_it_has_and_takes_no_more(
    mesh: Mesh, tmp_path: Path
) -> None:
    models.write_slow(tmp_path, tmp_path / "ran", tmp_path / "release")
    backend = mesh.start_backend("drained", tmp_path)
    mesh.wait_ready(("slow", "1"))
    statuses = []

    def ask(number: int) -> None:
        statuses.append(_ask_slow(mesh, 0.5, number))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(7)]
    for thread in threads:
        thread.start()
    mesh.wait(lambda: _in_flight(mesh, "drained") > 0, "the backend to be busy")

    mesh.drain("drained")
    mesh.wait(lambda: _state(mesh, "drained") == "draining", "the backend to hear of it")
    refused = _ask_slow(mesh, 0.0, 7)
    for thread in threads:
        thread.join()
    mesh.wait(lambda: backend.status is not None, "the drained backend to end")

    assert statuses == [200] * len(threads)
    assert refused == 503
    assert backend.status == 0
    assert mesh.instance("drained") is None


def _ask_slow(mesh: Mesh, seconds: float, number: int) -> int:
    inputs = [
        {"name": "seconds", "datatype": "FP32", "shape": [1], "data": [seconds]},
        {"name": "tag", "datatype": "BYTES", "shape": [1], "data": [f"drain {number}"]},
    ]
    with mesh.client("infer:*") as client:
        return client.post("/v2/models/slow/infer", json={"inputs": inputs}).status_code


def _in_flight(mesh: Mesh, name: str) -> int:
    row = mesh.instance(name)
    return 0 if row is None else int(row["load"]["in_flight"])


def test_draining_an_unknown_backend_says_so(mesh: Mesh) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        mesh.drain("nobody")


def test_a_terminated_backend_costs_no_request(mesh: Mesh, second: Process) -> None:
    with Load(mesh) as load:
        time.sleep(0.3)
        assert second.stop() == 0
        time.sleep(0.3)

    assert not load.failures


@pytest.mark.usefixtures("second")
def test_a_restarted_gateway_is_healed_by_the_backends_alone(mesh: Mesh) -> None:
    mesh.gateway.kill()

    mesh.start_gateway()
    started = mesh.wait(lambda: _answers(mesh), "the gateway to listen")
    healed = mesh.wait(lambda: _served(mesh) and len(mesh.endpoints()) == 2, "all to join again")

    assert healed < TWO_BEATS, f"{healed:.2f} s after {started:.2f} s"


def _answers(mesh: Mesh) -> bool:
    try:
        return httpx.get(f"{mesh.url}/v2/health/live").status_code == 200
    except httpx.TransportError:
        return False


def _served(mesh: Mesh) -> bool:
    with mesh.client("infer:*") as client:
        return client.post(INFER, json=BODY).status_code == 200


def test_a_backend_serves_every_gateway_that_it_joins(
    mesh: Mesh, repository: Path, tmp_path: Path
) -> None:
    with Mesh(tmp_path, secret=mesh.secret) as other:
        both = f"{mesh.address('discovery')},{other.address('discovery')}"
        backend = mesh.start_backend("shared", repository, join=both)
        mesh.wait_ready(ECHO, instances=2)
        other.wait_ready(ECHO)

        assert _served(other)
        # The loss of one gateway is nothing to the other.
        other.gateway.kill()
        assert _served(mesh)
        assert mesh.instance("shared") is not None
        assert backend.status is None
        assert backend.stop() == 0


def test_a_stopped_backend_is_doubted_and_forgiven(mesh: Mesh, second: Process) -> None:
    """SIGSTOP: connected but silent. Its requests go to the other one, and it comes back."""
    second.signal(signal.SIGSTOP)
    try:
        mesh.wait(lambda: _state(mesh, "second") != "ready", "the silent backend to be doubted")
        assert all(_served(mesh) for _ in range(5))
    finally:
        second.signal(signal.SIGCONT)

    mesh.wait(lambda: _state(mesh, "second") == "ready", "the backend to be trusted again")


def _state(mesh: Mesh, name: str) -> str:
    row = mesh.instance(name)
    return "gone" if row is None else str(row["state"])


def test_a_stranger_may_not_join(mesh: Mesh, repository: Path, tmp_path: Path) -> None:
    """A backend whose token has not the scope stays outside, and goes on trying."""
    with Mesh(tmp_path) as other:  # another secret
        backend = other.start_backend("stranger", repository, join=mesh.address("discovery"))
        mesh.wait(lambda: "stranger" in backend.last_words(), "the backend to start")
        mesh.wait(lambda: "refused a backend" in mesh.gateway.last_words(), "its refusal")

        assert mesh.instance("stranger") is None
        assert backend.status is None
