import pytest

from gateway.http.patience import DRAIN_IDLE, MIN_BODY_RATE, Phase, patience
from gateway.listening import Limits

LIMITS = Limits()


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase.AWAIT, 75.0),
        (Phase.HEAD, 10.0),
        (Phase.BODY, 30.0),
        (Phase.ANSWER, float("inf")),
        (Phase.LINGER, 2.0),
        (Phase.CLOSED, 30.0),
    ],
)
def test_each_phase_has_its_time(phase: Phase, expected: float) -> None:
    assert patience(phase, LIMITS, 0, False) == expected


def test_draining_shortens_idling_only() -> None:
    assert patience(Phase.AWAIT, LIMITS, 0, True) == DRAIN_IDLE
    assert patience(Phase.HEAD, LIMITS, 0, True) == 10.0


def test_a_body_earns_time_by_arriving() -> None:
    assert patience(Phase.BODY, LIMITS, 10 * MIN_BODY_RATE, False) == 40.0
