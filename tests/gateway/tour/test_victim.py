"""Which process may be killed: the demo's own backend, and nobody else's."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from gateway.client import Instance
from gateway.config import Config, load_config
from gateway.credentials import Credentials
from gateway.plan import Machine, plan
from gateway.tour.victim import Process, arguments_of, is_backend, read, victim_of
from protos.orphans import die_with

CONFIG = """
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
issuers:
  - {name: dev, issuer: dev, algorithm: HS256, secretFile: state/secret, development: true}
backends:
  - {runtime: onnx, repository: models}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "penstock.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def config(file: Path) -> Config:
    return load_config(file)


@pytest.fixture(scope="module")
def token_file(config: Config) -> Path:
    return Credentials(config).join_token_file


@pytest.fixture(scope="module")
def started(config: Config, file: Path, token_file: Path) -> tuple[str, ...]:
    """The command line of the demo's backend, as `penstock up` plans it."""
    return plan(config, file, token_file, Machine([0])).backends[0].arguments


def instance(process: int, epoch: float = 0.0) -> Instance:
    raw = {"process": process, "epoch": int(epoch or 1e3 * time.time())}
    return Instance("onnx", "ready", (), raw)


@contextmanager
def running(arguments: tuple[str, ...]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with these arguments that only sleeps, and has begun to."""
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, preexec_fn=partial(die_with, os.getpid())
    ) as process:
        if process.stdout is not None:
            process.stdout.readline()
        yield process
        process.kill()


def test_a_backend_as_it_was_started_is_killed(
    config: Config, token_file: Path, started: tuple[str, ...]
):
    with running(started) as process:
        victim = victim_of(instance(process.pid), config, token_file)
        assert victim is not None
        with closing(victim):
            victim.kill()
            assert process.wait(30) == -9
            victim.kill()  # of one that has ended nothing comes


def test_a_program_that_only_speaks_of_backends_is_not(config: Config, token_file: Path):
    with running(("notes-about-backends.txt", "-m", "backends")) as process:
        assert victim_of(instance(process.pid), config, token_file) is None


def test_a_process_that_is_gone_is_not(config: Config, token_file: Path):
    with running(()) as process:
        process.kill()
        process.wait()
        assert victim_of(instance(process.pid), config, token_file) is None
        assert read(process.pid) is None


class TestTheDemosBackend:
    @pytest.fixture
    def ours(self, config: Config, token_file: Path) -> frozenset[tuple[str, str]]:
        return frozenset(arguments_of("onnx", config, token_file))

    def test_has_what_it_was_started_with(
        self, ours: frozenset[tuple[str, str]], started: tuple[str, ...]
    ):
        assert is_backend(Process(1000, 5e3, started), ours, 1000, 6_000)

    @pytest.mark.parametrize("option", ["--name", "--join", "--join-token-file", "-m"])
    def test_has_all_of_it(
        self, ours: frozenset[tuple[str, str]], started: tuple[str, ...], option: str
    ):
        at = started.index(option) + 1
        another = (*started[:at], "another", *started[at + 1 :])
        assert not is_backend(Process(1000, 5e3, another), ours, 1000, 6_000)

    def test_is_ours(self, ours: frozenset[tuple[str, str]], started: tuple[str, ...]):
        assert not is_backend(Process(0, 5e3, started), ours, 1000, 6_000)

    def test_was_there_when_it_told_its_process(
        self, ours: frozenset[tuple[str, str]], started: tuple[str, ...]
    ):
        assert not is_backend(Process(1000, 9e3, started), ours, 1000, 6_000)


def test_a_process_is_read_as_the_kernel_tells_it():
    before = 1e3 * time.time()
    with running(("some", "arguments")) as process:
        found = read(process.pid)
    assert found is not None
    assert found.owner == os.getuid()
    assert found.arguments[-3:-1] == ("some", "arguments")
    assert before - 1e3 < found.started < 1e3 * time.time() + 1e3
