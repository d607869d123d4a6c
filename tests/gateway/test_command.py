"""Tables on a pipe and on a terminal, and in whose name a gateway is asked."""

from pathlib import Path

import pytest

from gateway.command import ADMIN_TOKEN, administrator, load_settings, show
from protos.errors import PenstockError

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


def test_an_administrators_own_token_is_shown_where_one_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "penstock.yaml").write_text("apiVersion: penstock/v1\nkind: Penstock\n")
    settings = load_settings(tmp_path / "penstock.yaml")
    monkeypatch.delenv(ADMIN_TOKEN, raising=False)
    with pytest.raises(PenstockError, match=f"development.*{ADMIN_TOKEN}"):
        administrator(settings)
    monkeypatch.setenv(ADMIN_TOKEN, "pk_key\n")
    assert administrator(settings)() == "pk_key"
