"""What holds for all tests: what could not be run is named, and in CI that is a failure.

A test that needs an NVIDIA GPU is marked `gpu`, and one that needs a Jaeger `jaeger`; they alone
may stay out on machines without one, as neither can be installed by a package manager.
"""

import gc
import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.servers import find_jaeger

TESTS = Path(__file__).parent
# Before any test imports gRPC: its fork handlers have broken children that tests start.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# Each httpx client reads every authority of the web, 20 ms for two hundred, and tests make clients
# by the thousand. Nothing here asks beyond this machine: one authority is enough.
os.environ["SSL_CERT_FILE"] = str(TESTS / "authority.pem")

LONGEST = ("conformance", "deploy", "docs", "integration")
NO_GPU = "needs an NVIDIA GPU, and there is none here"
NO_JAEGER = "needs a Jaeger, and there is none here (PATH, PENSTOCK_JAEGER)"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: needs an NVIDIA GPU")
    config.addinivalue_line("markers", "jaeger: needs a Jaeger of one program")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What starts processes takes longest: at the end nobody should wait for one file of it.
    items.sort(key=lambda item: item.path.relative_to(TESTS).parts[0] not in LONGEST)
    if shutil.which("nvidia-smi") is None:
        _leave_out(items, "gpu", NO_GPU)
    if find_jaeger() is None:
        _leave_out(items, "jaeger", NO_JAEGER)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported for tests stays: looking for garbage in it took a second each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


class Together(LoadFileScheduling):
    """A file stays in one process, and so does a folder whose conftest.py starts what it shares."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        folder = Path(file).parent
        shared = TESTS.parent / folder / "conftest.py"
        return str(folder) if shared.exists() and shared.parent != TESTS else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


def _leave_out(items: list[pytest.Item], marker: str, reason: str) -> None:
    for item in items:
        if item.get_closest_marker(marker) is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if not _not_run(session.config) or os.environ.get("CI") != "true":
        return
    if exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    missing = _not_run(config)
    if missing and os.environ.get("CI") == "true":
        reporter.section("not run, which CI does not accept", red=True)
        for line in missing:
            reporter.line(line)


def _not_run(config: pytest.Config) -> list[str]:
    """Tests skipped for other reasons than those; known to the main process only."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return []
    # A skip's longrepr is (file, line, reason).
    skipped = [(report.nodeid, report.longrepr[2]) for report in reporter.stats.get("skipped", ())]
    return [f"{node}: {reason}" for node, reason in skipped if not _excused(reason)]


def _excused(reason: str) -> bool:
    return NO_GPU in reason or NO_JAEGER in reason
