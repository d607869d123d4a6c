import logging

import pytest

from protos.errors import Kind
from protos.incident import frames_of, incident


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
