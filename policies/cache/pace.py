"""How long a flight waits for the slowest of its readers. Pure; times in seconds of one clock."""


class Pace:
    """A part may take `idle`, as for a request that is alone; what others wait, `idle` in all.

    Otherwise a reader of another tenant who takes a part now and then would set everybody's pace.
    """

    __slots__ = ("_idle", "_left", "_place", "_since")

    def __init__(self, idle: float) -> None:
        self._idle = idle
        self._left = idle
        self._place = -1  # that the slowest has come to
        self._since = 0.0

    def until(self, place: int, now: float, *, held_up: bool) -> float:
        """When the slowest, who has come to `place`, is left behind unless it goes on.

        `held_up`: whether another reader waits for it.
        """
        if place != self._place:
            self._place, self._since = place, now
        end = self._since + self._idle
        return min(end, now + self._left) if held_up else end

    def waited(self, seconds: float) -> None:
        """Others have been held up for so long."""
        self._left = max(0.0, self._left - seconds)

    def __repr__(self) -> str:
        return f"<Pace {self._left:g} s left>"
