"""What must hold of limits while their state is lost, and what doesn't."""

import pytest

from chaos.history import History, Request
from chaos.shared_state import all_refused, waited_once, within_limit


def request(at: float, status: int = 200, seconds: float = 0.01) -> Request:
    after = "1" if status == 429 else ""
    return Request(1, at, at, at + seconds, status, whole=True, retry_after=after)


@pytest.mark.parametrize(("answered", "holds"), [(0, False), (30, True), (31, True), (32, False)])
def test_a_limit_may_begin_anew_once(answered: int, holds: bool) -> None:
    """Ten seconds of one a second, a burst of ten, which is there once more, and a tenth."""
    history = [request(at / 10, 200 if at < answered else 429) for at in range(101)]
    assert within_limit(History(history), 1.0, 10.0).holds is holds


@pytest.mark.parametrize(
    ("statuses", "holds"),
    [([429, 429], True), ([429, 200], False), ([429, 503], False), ([], False)],
)
def test_what_must_not_be_guessed_is_refused_every_time(statuses: list[int], holds: bool) -> None:
    history = History([request(float(at), status) for at, status in enumerate(statuses)])
    assert all_refused(history).holds is holds


@pytest.mark.parametrize(
    ("at_once", "later", "holds"),
    [
        (0.06, 0.01, True),
        (0.09, 0.01, False),  # limits and a kept answer, 50 ms each, are asked for by none
        (0.01, 0.07, False),  # waits again, when it is known
    ],
)
def test_a_lost_state_is_waited_for_when_it_is_lost_and_not_again(
    at_once: float, later: float, holds: bool
) -> None:
    usual = [request(at / 10) for at in range(50)]
    slow = [request(5.0, seconds=at_once), request(7.0, seconds=later)]
    history = History([*usual, *slow])
    verdict = waited_once(history, begun=5.0, healed=8.0)
    assert (verdict.holds, verdict.timed) == (holds, True)


def test_not_everybody_waits_for_the_whole_first_second() -> None:
    usual = [request(at / 100) for at in range(500)]
    slow = [request(5.0 + at / 100, seconds=0.055) for at in range(100)]

    assert not waited_once(History([*usual, *slow]), begun=5.0, healed=8.0).holds
    assert waited_once(History([*usual, *slow[:20]]), begun=5.0, healed=5.2).holds
