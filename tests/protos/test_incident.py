import logging

import pytest

from protos.errors import Kind
from protos.incident import MOST, RATE, Sparing, frames_of, incident


def raised() -> Exception:
    try:
        try:
            raise KeyError("bob@example.com")
        except KeyError as error:
            raise ValueError("4111 1111 1111 1111") from error
    except ValueError as error:
        return error


def test_an_incident_is_logged_with_frames_and_without_what_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        told = incident(raised(), "a request failed")

    assert told.kind is Kind.INTERNAL
    name = told.message.removeprefix("internal error, incident ")
    assert f"incident {name}: a request failed" in caplog.text
    assert "ValueError" in caplog.text
    assert "KeyError" in caplog.text
    assert "test_incident.py" in caplog.text
    assert "example.com" not in caplog.text
    assert "4111" not in caplog.text


def test_an_exception_that_leads_to_itself_is_told_once() -> None:
    error = ValueError("x")
    error.__cause__ = error
    assert frames_of(error) == "ValueError"


def test_of_many_at_one_place_some_are_told_and_the_others_counted() -> None:
    now = 100.0
    sparing = Sparing(lambda: now)
    told = [sparing.untold("a model") for _ in range(int(MOST) + 30)]
    assert told == [0] * int(MOST) + [None] * 30
    assert sparing.untold("another") == 0
    now += 1.0 / RATE
    assert sparing.untold("a model") == 30
    assert sparing.untold("a model") is None
