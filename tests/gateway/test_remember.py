"""Every request's fate is told once, with the status that its client got."""

import asyncio
import time

import pytest

from gateway.remember import Remember
from protos.errors import Kind, PenstockError
from tests.routing.routed import OK, routed


class Told:
    def __init__(self) -> None:
        self.fates: list[tuple[object, int, float]] = []

    def __call__(self, request: object, code: int, now: float) -> None:
        self.fates.append((request, code, now))


def answering(outcome):
    async def service(request):
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return service


async def test_an_answer_is_remembered_as_200_with_its_time():
    told, request, before = Told(), routed(), time.monotonic()
    assert await Remember(told)(request, answering(OK)) is OK
    ((of, code, now),) = told.fates
    assert of is request
    assert code == 200
    assert before <= now <= time.monotonic()


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (PenstockError(Kind.RATE_LIMITED, "later"), 429),
        (PenstockError(Kind.DEADLINE, "late"), 504),
        (RuntimeError("a bug"), 500),
        (TimeoutError(), 500),
        (asyncio.CancelledError(), 499),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_failure_is_remembered_by_its_status_and_stays_what_it_was(failure, code):
    told = Told()
    with pytest.raises(type(failure)) as caught:
        await Remember(told)(routed(), answering(failure))
    assert caught.value is failure
    assert [fate[1] for fate in told.fates] == [code]


@pytest.mark.parametrize("outcome", [OK, PenstockError(Kind.OVERLOADED, "full")])
async def test_an_observer_that_fails_changes_no_answer(outcome, caplog):
    def broken(request, code, now):
        raise RuntimeError("a bug of the observer")

    asked = Remember(broken)(routed(), answering(outcome))
    if outcome is OK:
        assert await asked is OK
    else:
        with pytest.raises(PenstockError, match="full"):
            await asked
    assert "the fate of a request could not be remembered" in caplog.text
