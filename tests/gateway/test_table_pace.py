"""Tables wait for their turn; the clock is the test's."""

import pytest

from gateway.table_pace import BURST, ENTRIES_PER_SECOND, TablePace
from protos import discovery_pb2 as pb

SPEC = pb.TensorSpec(name="x")
TABLE = pb.ModelTable(models=[pb.Model(inputs=[SPEC] * 1000, outputs=[SPEC] * 23)] * 8)
ENTRIES = 8 * 1024


def test_a_whole_mesh_comes_at_once_and_then_at_its_pace() -> None:
    pace = TablePace()
    for _ in range(BURST // ENTRIES):
        assert pace.wait("ann", TABLE, 0.0) == pytest.approx(0.0)
    assert pace.wait("ann", TABLE, 0.0) == pytest.approx(ENTRIES / ENTRIES_PER_SECOND)
    assert pace.wait("ann", TABLE, 0.0) == pytest.approx(2 * ENTRIES / ENTRIES_PER_SECOND)


def test_others_do_not_wait_for_that() -> None:
    pace = TablePace()
    for _ in range(100):
        pace.wait("eve", TABLE, 0.0)
    assert pace.wait("ann", TABLE, 0.0) == 0.0


def test_time_makes_good_and_is_forgotten() -> None:
    pace = TablePace()
    for _ in range(2 * BURST // ENTRIES):
        pace.wait("ann", TABLE, 0.0)
    pace.tidy(1.0)
    assert pace.wait("ann", TABLE, 1.0) > 0.0
    pace.tidy(1000.0)
    assert not pace._free
    assert pace.wait("ann", TABLE, 1000.0) == 0.0
