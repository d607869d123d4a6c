"""An estimate and how sure it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """`low` and `high` hold the truth with probability `level`; all in the estimate's unit."""

    estimate: float
    low: float
    high: float
    level: float = 0.95

    @property
    def width(self) -> float:
        return self.high - self.low

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high
