"""Three backends on a real mesh, one of which becomes slow, or dies, while requests go on."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from chaos.faults.proxy import FaultProxy, Toxics
from chaos.mesh import Mesh
from chaos.ports import free_ports
from tests.integration import mesh_models as models
from tests.integration.proxy_thread import on_a_thread

NAMES = ("one", "two", "three")
BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0]}]}
CALLERS = 8
SLOW = Toxics(latency=0.25)  # each way


@dataclass(frozen=True)
class Trial:
    """A mesh whose backend `three` is reached through the proxy."""

    mesh: Mesh
    proxy: FaultProxy


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    folder = tmp_path_factory.mktemp("picking")
    repository = folder / "models"
    models.write_instances(repository)
    with Mesh(folder) as mesh, on_a_thread(FaultProxy()) as proxy:
        (proxy.target,) = free_ports(1)
        for name in NAMES[:2]:
            mesh.start_backend(name, repository)
        through = (
            "--listen",
            f"127.0.0.1:{proxy.target}",
            "--advertise",
            f"127.0.0.1:{proxy.port}",
        )
        mesh.start_backend("three", repository, *through)
        mesh.wait_ready(("who", "1"), instances=3)
        yield Trial(mesh, proxy)


class Load:
    """Callers that ask one request after the other until told to stop; who answered, and when.

    They pause, as there is other work for the machine.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._stop = threading.Event()
        self.answers: list[tuple[float, str]] = []
        self.failures: list[str] = []

    def __enter__(self) -> "Load":
        self._pool = ThreadPoolExecutor(CALLERS)
        self._calls = [self._pool.submit(self._ask) for _ in range(CALLERS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for call in self._calls:
            call.result()

    def shares(self, since: float) -> Counter[str]:
        return Counter(who for at, who in list(self.answers) if at >= since)

    def _ask(self) -> None:
        with self._mesh.client("infer:*") as client:
            while not self._stop.wait(0.02):
                answer = client.post("/v2/models/who/infer", json=BODY)
                if answer.status_code == 200:
                    (pid,) = answer.json()["outputs"][0]["data"]
                    self.answers.append((time.monotonic(), str(pid)))
                else:
                    self.failures.append(answer.text)


def test_a_slowed_backend_is_left_alone_within_five_seconds(trial: Trial) -> None:
    slow = str(trial.mesh.process("three").pid)
    with Load(trial.mesh) as load:
        trial.mesh.wait(lambda: load.shares(0.0)[slow] > 0, "the backend to be used")
        trial.proxy.both(SLOW)
        time.sleep(5.0)
        since = time.monotonic()
        time.sleep(4.0)
        shares = load.shares(since)
        trial.proxy.heal()

    assert not load.failures
    assert shares[slow] <= 0.05 * shares.total(), shares


def test_a_slowed_backend_comes_back_when_it_is_fast_again(trial: Trial) -> None:
    slow = str(trial.mesh.process("three").pid)
    with Load(trial.mesh) as load:
        trial.proxy.both(SLOW)
        time.sleep(3.0)
        trial.proxy.heal()
        # More than probes come to. How much more is a matter of how near the proxy is.
        trial.mesh.wait(
            lambda: load.shares(time.monotonic() - 1.0)[slow] > 10, "the backend to be used again"
        )

    assert not load.failures


def test_no_request_fails_when_one_of_three_is_killed(trial: Trial) -> None:
    """Last, as it ends the backend."""
    killed = str(trial.mesh.process("two").pid)
    with Load(trial.mesh) as load:
        trial.mesh.wait(lambda: load.shares(0.0)[killed] > 0, "the backend to be used")
        trial.mesh.process("two").signal(signal.SIGKILL)
        time.sleep(3.0)
        shares = load.shares(time.monotonic() - 1.5)

    assert not load.failures
    assert shares.total() > 0
    assert shares[killed] == 0
