"""What was used of a limit while its ledger couldn't be reached, which is told to it later."""


class Arrears:
    """Of a bucket they get less with time: it fills up, and what it has yielded is not owed."""

    __slots__ = ("_amount", "_at")

    def __init__(self) -> None:
        self._amount = self._at = 0.0

    def add(self, used: float, rate: float, now: float) -> None:
        """`rate` is this process's part of the limit's, in tokens a second."""
        self._amount = max(0.0, self.amount(rate, now) + used)
        self._at = now

    def amount(self, rate: float, now: float) -> float:
        return max(0.0, self._amount - (now - self._at) * rate) if self._amount else 0.0

    def clear(self) -> None:
        self._amount = 0.0
