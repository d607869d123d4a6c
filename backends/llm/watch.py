"""Which models of a folder to load, and which to give up; decided without doing it."""

from collections.abc import Mapping

from backends.llm.folders import Stamp


class Watch:
    """Remembers what was seen and tried, so that each change of files leads to one attempt."""

    def __init__(self) -> None:
        self._seen: dict[str, Stamp] = {}
        self._tried: dict[str, Stamp] = {}

    def decide(self, found: Mapping[str, Stamp]) -> list[str]:
        """Those to load now, by what the newest look found; they count as tried.

        Files that are new or changed since the look before wait: perhaps somebody copies them.
        """
        wanted = [
            name
            for name, stamp in found.items()
            if stamp and stamp == self._seen.get(name) and stamp != self._tried.get(name)
        ]
        self._seen = dict(found)
        kept = {name: stamp for name, stamp in self._tried.items() if name in found}
        self._tried = kept | {name: found[name] for name in wanted}
        return wanted

    def tried(self, name: str, stamp: Stamp) -> None:
        """The files as they are now were loaded, for whatever reason."""
        self._tried[name] = stamp
