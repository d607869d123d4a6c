"""What `penstock up` shows: lines with the name of whoever says them, and progress."""

from rich.console import Console
from rich.status import Status
from rich.text import Text

from gateway.children import Tell

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads any longer, which must not keep us from stopping in order."""
        self.quiet = True


class Terminal:
    """Colours and a moving progress line on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _Console(highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._progress = ""
        self._names: dict[str, str] = {}

    def say(self, text: str, style: str = "") -> None:
        self._print(Text(text, style=style))

    @property
    def shown(self) -> bool:
        """Whether somebody sees it now; else it may be kept as a log, which holds no secrets."""
        return self._console.is_terminal

    def teller(self, name: str) -> Tell:
        """What tells lines under a name of its own colour."""
        colour = self._names.setdefault(name, _COLOURS[len(self._names) % len(_COLOURS)])

        def tell(line: str) -> None:
            # from_ansi: children may colour their logs; what else they send to a terminal is lost.
            self._print(Text.assemble((f"{name:>9} ", colour), ("│ ", "dim"), Text.from_ansi(line)))

        return tell

    def progress(self, text: str) -> None:
        """What is waited for now; repeated only when it has changed."""
        if text == self._progress:
            return
        self._progress = text
        if not self._console.is_terminal:
            self.say(f"… {text}")
        elif self._status is None:
            self._status = self._console.status(Text(text))
            self._status.start()
        else:
            self._status.update(Text(text))

    def settled(self) -> None:
        """Nothing is waited for any longer."""
        self._progress = ""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _print(self, text: Text) -> None:
        try:
            self._console.print(text)
        except OSError:
            self._console.quiet = True  # the terminal is gone
