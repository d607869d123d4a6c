"""Tables on a pipe and on a terminal."""

import pytest

from gateway.command import show

ID = "mdp4gtjdg" * 20


def test_a_pipe_gets_every_row_whole_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show([], [[ID, "[bold]x"], ["short", "y" * 90]], ("id", "what"), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["id", "what"],
        [ID, "[bold]x"],
        ["short", "y" * 90],
    ]


def test_a_terminal_folds_and_cuts_nothing_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    show([], [[ID]], ("id",), as_json=False)
    out = capsys.readouterr().out
    assert "…" not in out
    assert ID in "".join(out.split())
