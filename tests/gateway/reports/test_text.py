"""The report for a terminal: the verdict first, and no text that drives the terminal."""

from io import StringIO

import pytest
from rich.console import Console

from gateway.reports.text import plain, show
from tests.gateway.reports.made_reports import hostile, report

HEADLINES = {
    "promote": "Promote",
    "dont": "Don’t promote",
    "not_enough_evidence": "Not enough evidence",
}


@pytest.mark.parametrize("decision", HEADLINES)
def test_the_verdict_and_its_reason_come_first(decision: str):
    lines = [line.strip("│ ") for line in plain([report(decision)]).splitlines()]
    assert lines[2] == HEADLINES[decision]
    assert report(decision).verdict.reason[:40] in lines[3]


def test_every_part_is_there():
    text = plain([report("dont")])
    for title in (
        "Criteria",
        "Disagreement",
        "By tenant",
        "By label",
        "Latency",
        "Failures, sizes and scores",
        "Measures of the comparison",
        "What became of the pairs",
        "Agreement over time",
        "The pairs that differ most",
    ):
        assert f"\n{title}" in text
    assert "beyond the bound" in text
    assert report("dont").worst[0].trace_id in text


def test_hostile_names_neither_colour_nor_drive_the_terminal():
    terminal = Console(file=StringIO(), force_terminal=True, width=120)
    show([hostile()], terminal)
    written = terminal.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b]0;" not in written
    assert "‮" not in written
    assert "[bold red]markup[/]" in plain([hostile()])
    assert "⟨U+001B⟩" in written


def test_a_file_holds_no_colours():
    assert "\x1b" not in plain([report("promote")])


def test_nothing_is_cut_on_a_narrow_terminal():
    narrow = Console(file=StringIO(), width=60)
    show([report("dont")], narrow)
    written = narrow.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in written
