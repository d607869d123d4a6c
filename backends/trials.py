"""Finding the bad input of a batch that failed: its halves execute again, down to single jobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from backends.queued import Queued

# So many jobs of a batch failed alone and none of it succeeded: the model fails, not the input.
GIVE_UP_AFTER = 8


@dataclass(slots=True, eq=False)
class Trial:
    """What is known of one batch that failed. At most 2n - 1 executions for n jobs."""

    failed_alone: int = 0
    succeeded: int = 0

    @property
    def gives_up(self) -> bool:
        return self.failed_alone >= GIVE_UP_AFTER and not self.succeeded


@dataclass(frozen=True, slots=True, eq=False)
class Retry:
    """A group of pieces that must execute again, by themselves."""

    pieces: Sequence[Queued]
    trial: Trial


def halves(pieces: Sequence[Queued], trial: Trial) -> list[Retry]:
    """One or two groups, none of them empty."""
    middle = (len(pieces) + 1) // 2
    groups = (pieces[:middle], pieces[middle:])
    return [Retry(group, trial) for group in groups if group]
