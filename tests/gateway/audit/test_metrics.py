"""Whether administration can be recorded: one process that can't is enough to say no."""

from pathlib import Path

import pytest

from gateway.audit.log import AuditLog
from gateway.audit.metrics import FAILING, is_failing, register_failing
from gateway.audit.seal import Seal
from gateway.metrics import Totals
from gateway.telemetry.merged import Merged
from policies.audit import AuditSettings
from protos.errors import PenstockError


async def test_a_worker_that_refuses_what_it_cant_record_shows_beside_processes_that_can(
    tmp_path: Path,
) -> None:
    merged = Merged()
    logs = [AuditLog(AuditSettings(), tmp_path / name, name, Seal()) for name in ("a", "b")]
    totals = [Totals() for _ in logs]
    for log, each in zip(logs, totals, strict=True):
        register_failing(each, log)

    def failing() -> float:
        for number, each in enumerate(totals):
            merged.report(f"{number}/1", each.families())
        (family,) = merged.families()
        assert is_failing(merged.told({FAILING})) == bool(family.series[0].value)
        return family.series[0].value

    assert failing() == 0
    for file in (tmp_path / "a").iterdir():
        file.unlink()
    (tmp_path / "a").rmdir()
    for _ in range(2):
        with pytest.raises(PenstockError, match="not done without a record"):
            await logs[0].recorded("model.unload", model="digits")
    assert failing() == 1
    (tmp_path / "a").mkdir()
    await logs[0].recorded("model.unload", model="digits")
    assert failing() == 0
    for log in logs:
        log.close(1.0)
