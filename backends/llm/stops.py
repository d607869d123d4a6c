"""Stop strings in a stream of text, wherever the pieces were cut."""

from collections.abc import Sequence


class Stops:
    """Passes text on until one of the strings is in it, which isn't passed on."""

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = tuple(strings)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """What of the text so far can be passed on now."""
        if self.stopped:
            return ""
        if not self._strings:
            return text
        text = self._held + text
        found = [at for each in self._strings if (at := text.find(each)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)]
        keep = max(_overlap(text, each) for each in self._strings)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> str:
        """Nothing more comes: what was held back for the beginning of a stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, string: str) -> int:
    """How long an end of the text might be the beginning of the string."""
    for length in range(min(len(text), len(string) - 1), 0, -1):
        if text.endswith(string[:length]):
            return length
    return 0
