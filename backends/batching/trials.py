"""Finding the bad input of a batch that failed: its halves execute again, down to single jobs."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from backends.batching.queued import Queued
from protos.errors import Kind, PenstockError

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


class Retries:
    """The groups that must execute again, the next one first."""

    def __init__(self) -> None:
        self._groups: deque[Retry] = deque()

    def __len__(self) -> int:
        return len(self._groups)

    def pop(self) -> Retry:
        return self._groups.popleft()

    def failed(
        self, pieces: Sequence[Queued], trial: Trial, error: PenstockError
    ) -> Sequence[Queued]:
        """A batch of these pieces failed: those for which nothing more can be done.

        A single job is at fault itself; a reply of the wrong shape is nobody's input's fault; the
        others are halved.
        """
        if len(pieces) > 1 and error.kind is not Kind.BAD_REPLY:
            waiting = [piece for piece in pieces if not piece.ticket.answered]
            middle = (len(waiting) + 1) // 2
            halves = (waiting[:middle], waiting[middle:])
            self._groups.extendleft(Retry(half, trial) for half in reversed(halves) if half)
            return ()
        if len(pieces) == 1:
            trial.failed_alone += 1
        if not trial.gives_up:
            return pieces
        others = [retry for retry in self._groups if retry.trial is trial]
        self._groups = deque(retry for retry in self._groups if retry.trial is not trial)
        return [*pieces, *(piece for retry in others for piece in retry.pieces)]
