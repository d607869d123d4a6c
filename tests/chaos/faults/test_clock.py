"""The clock that processes go by can be set, and only that one."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaos.faults.clock import HOUR, WallClock
from chaos.probe import Need, has

TELL = "import time; time.sleep(0.001); print(time.time(), time.monotonic())"
SLACK = 120.0  # seconds that starting a process takes at most

pytestmark = pytest.mark.skipif(not has(Need.FAKETIME), reason=f"needs {Need.FAKETIME}")


def told(clock: WallClock) -> tuple[float, float]:
    """Wall and monotonic time of a process that goes by the clock."""
    said = subprocess.run(
        [sys.executable, "-c", TELL],
        env={**os.environ, **clock.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=SLACK,
    )
    wall, monotonic = map(float, said.stdout.split())
    return wall, monotonic


@pytest.mark.parametrize("off", [HOUR, -HOUR])
def test_the_wall_clock_is_off_and_the_monotonic_one_is_not(tmp_path: Path, off: int) -> None:
    clock = WallClock(tmp_path / "clock")
    clock.set(off)

    wall, monotonic = told(clock)

    assert abs(time.time() + off - wall) < SLACK
    assert abs(time.monotonic() - monotonic) < SLACK
