"""The parts of one call's answer on their way to the gateway."""

from collections.abc import Callable

from backends.exchange import Answer
from backends.language.models import VERSION
from protos import exchange_parts
from protos.errors import PenstockError, Timing
from protos.exchange_calls import Call
from protos.exchange_objects import bytes_of
from protos.values import OpenAi, Tensor, Tensors

Content = OpenAi | tuple[Tensor, ...]


class Parts:
    """Sends parts, each with the times up to itself; `room` is how many bytes are welcome yet.

    `sharing` says how many calls have the model between them now, `queued` how many of a call's
    first seconds it has waited there, and `begun` is told after how many the answer began.
    """

    def __init__(
        self,
        call: Call,
        answer: Answer,
        *,
        clock: Callable[[], float],
        sharing: Callable[[], int],
        queued: Callable[[float], float],
        begun: Callable[[float], None],
    ) -> None:
        self.room = exchange_parts.INITIAL_CREDIT
        self._id = call.id
        self._answer = answer
        self._clock = clock
        self._sharing = sharing
        self._queued = queued
        self._begun = begun
        self._arrival = clock()
        self._queue: float | None = None  # seconds, once it has begun

    def begin(self) -> None:
        """The answer begins, unless it has; what is sent begins it at the latest."""
        self._begin(self._clock() - self._arrival)

    def send(self, content: Content, *, final: bool) -> None:
        elapsed = self._clock() - self._arrival
        queued = self._begin(elapsed)
        part = exchange_parts.encode_part(
            self._id,
            content,
            VERSION,
            final=final,
            queue_us=int(queued * 1e6),
            compute_us=int((elapsed - queued) * 1e6),
            batch_rows=self._sharing(),
        )
        self.room -= bytes_of(content if isinstance(content, OpenAi) else Tensors(content))
        self._answer(part, final)

    def fail(self, error: PenstockError, *, executed: bool) -> None:
        elapsed = self._clock() - self._arrival
        queue = elapsed if self._queue is None else self._queue
        timing = Timing(int(queue * 1e6), int((elapsed - queue) * 1e6), self._sharing(), 0)
        part = exchange_parts.encode_failure(self._id, error, executed=executed, timing=timing)
        self._answer(part, True)

    def _begin(self, elapsed: float) -> float:
        """How many seconds the call has waited in the queue."""
        if self._queue is None:
            self._queue = self._queued(elapsed)
            self._begun(elapsed)
        return self._queue
