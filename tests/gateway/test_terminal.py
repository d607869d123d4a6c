"""Plain lines where nobody watches, colours and a moving line on a terminal."""

import io

import pytest
from rich.console import Console

from gateway.terminal import Terminal


def terminal(*, watched: bool) -> tuple[Terminal, io.StringIO]:
    output = io.StringIO()
    console = Console(
        file=output, force_terminal=watched, width=60, highlight=False, soft_wrap=True
    )
    return Terminal(console), output


def test_lines_carry_the_name_of_who_says_them():
    shown, output = terminal(watched=False)
    shown.teller("gateway")("serving on 127.0.0.1:8000")
    shown.teller("onnx")("\x1b[31mred\x1b[0m")
    assert output.getvalue() == "  gateway │ serving on 127.0.0.1:8000\n     onnx │ red\n"


def test_long_commands_stay_on_one_line_so_that_they_can_be_pasted():
    shown, output = terminal(watched=True)
    shown.say("curl " + "x" * 500)
    assert output.getvalue().count("\n") == 1


def test_what_looks_like_markup_is_text():
    shown, output = terminal(watched=False)
    shown.say("[bold]shape[/bold] [1, 8, 8]")
    assert output.getvalue() == "[bold]shape[/bold] [1, 8, 8]\n"


def test_progress_is_told_when_it_changes():
    shown, output = terminal(watched=False)
    for text in ("waiting", "waiting", "loading", "waiting"):
        shown.progress(text)
    shown.settled()
    assert output.getvalue() == "… waiting\n… loading\n… waiting\n"


def test_on_a_terminal_progress_is_one_line_that_goes_away():
    shown, output = terminal(watched=True)
    shown.progress("waiting")
    shown.progress("loading")
    shown.settled()
    assert "loading" in output.getvalue()
    assert output.getvalue().endswith("\x1b[2K")


def test_a_terminal_that_is_gone_does_not_keep_anybody_from_stopping():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    shown = Terminal(Console(file=Gone()))
    shown.say("finishing")
    shown.teller("onnx")("finished")


@pytest.mark.parametrize("watched", [True, False])
def test_it_knows_whether_somebody_sees_it_now_or_keeps_it_as_a_log(watched: bool):
    assert terminal(watched=watched)[0].shown is watched
