"""What holds for all tests: what could not be run is named, and in CI that is a failure.

A test that needs an NVIDIA GPU is marked `gpu`; it alone may stay out on machines without one.
"""

import os
import shutil

import pytest

# Before any test imports gRPC: its fork handlers have broken children that tests start.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

NO_GPU = "needs an NVIDIA GPU, and there is none here"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: needs an NVIDIA GPU")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if shutil.which("nvidia-smi") is not None:
        return
    for item in items:
        if item.get_closest_marker("gpu") is not None:
            item.add_marker(pytest.mark.skip(reason=NO_GPU))


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
    """Tests skipped for another reason than a missing GPU; known to the main process only."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return []
    # A skip's longrepr is (file, line, reason).
    skipped = [(report.nodeid, report.longrepr[2]) for report in reporter.stats.get("skipped", ())]
    return [f"{node}: {reason}" for node, reason in skipped if NO_GPU not in reason]
