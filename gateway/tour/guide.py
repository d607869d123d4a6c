"""Says what happens, on a terminal or into a file."""

from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.reports.markup import visible

_LONGEST = 400  # characters of what a model or a gateway says


class Guide:
    """Headings, sentences, small tables, and one line that changes while something is under way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stops = 0

    @property
    def shown(self) -> bool:
        """Whether somebody sees it now; else it may be kept as a log, which holds no secrets."""
        return self._console.is_terminal

    def stop(self, title: str) -> None:
        self._stops += 1
        self._console.print(f"\n[bold cyan]{self._stops}[/]  [bold]{escape(title)}[/]")

    def say(self, sentence: str, style: str = "") -> None:
        self._console.print(Padding(Text(sentence, style), (0, 0, 0, 3)))

    def quote(self, who: str, words: str) -> None:
        """What somebody said; nothing in it can change the terminal."""
        text = Text.assemble((f"{who:<18}", "dim"), visible(words, _LONGEST))
        self._console.print(Padding(text, (0, 0, 0, 3)))

    def table(self, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in rows:
            table.add_row(*map(Text, row))
        self._console.print(Padding(table, (0, 0, 0, 3)))

    def link(self, what: str, where: str) -> None:
        self._console.print(
            Padding(Text.assemble((f"{what:<18}", "dim"), (where, "bold")), (0, 0, 0, 3)),
            soft_wrap=True,
        )

    def under_way(self) -> "Ticker":
        return Ticker(self._console)


class Ticker:
    """One line that is written over while it is entered; only a terminal shows it."""

    def __init__(self, console: Console) -> None:
        self._live = Live(Text(), console=console, transient=True, refresh_per_second=8)
        self._shown = console.is_terminal

    def __enter__(self) -> "Ticker":
        if self._shown:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._live.stop()

    def tell(self, line: str) -> None:
        self._live.update(Padding(Text(line, "dim"), (0, 0, 0, 3)))
