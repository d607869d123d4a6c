"""Takes the exchange's calls to the model server: as many as may be under way, each in a task.

There is no queue here and no batch: the server has its own, and a task costs nothing beside what a
language model does.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from operator import sub

from backends.exchange import Answer, Taken
from backends.language.kept import Pace, Recent
from backends.language.parts import Parts
from backends.language.texts import SIGNATURE
from backends.language.times import Times, time_queued
from backends.openai.answering import Answering
from backends.openai.asking import PLAIN, Asking
from backends.openai.forward import Forward, Habits
from backends.openai.roster import Roster
from backends.openai.signals import Signals
from backends.openai.upstream import Upstream
from backends.validate import check_inputs
from protos.errors import Kind, PenstockError
from protos.exchange_calls import Call
from protos.prefixes import prefixes_of


class Forwarder:
    """`most` calls may be under way; more are refused, so that another endpoint gets them.

    `signals` are the latest of the server. `times` are until first parts, `wholes` until ends.
    """

    def __init__(
        self,
        upstream: Upstream,
        roster: Roster,
        *,
        most: int,
        asking: Asking = PLAIN,
        signals: Callable[[], Signals] = Signals,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._roster = roster
        self._most = most
        self._asking = asking
        self._signals = signals
        self._clock = clock
        self._habits = Habits()
        self._tasks: set[asyncio.Task[None]] = set()
        self.times = Times()
        self.wholes = Times()
        self.kept: Recent[int] = Recent()  # how many bytes each beginning adds to the one before
        self.pace = Pace()

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    def take(self, calls: Sequence[tuple[Call, Answer]]) -> list[Taken | PenstockError]:
        """Begins the calls that there is room for; see `backends.exchange.Worker`."""
        return [self._take(call, answer) for call, answer in calls]

    async def close(self) -> None:
        """Cuts what is still under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, call: Call, answer: Answer) -> Taken | PenstockError:
        try:
            forward = self._forward(call)
        except PenstockError as refusal:
            return refusal
        prefixes = prefixes_of(forward.asked, call.tenant, call.model)
        cached = prefixes.reach(lambda name: self.kept.get(name) is not None)
        lengths = map(sub, prefixes.ends, (0, *prefixes.ends))
        self.kept.touch(call.tenant, list(zip(prefixes.names, lengths, strict=True)))
        parts = Parts(
            call,
            answer,
            clock=self._clock,
            sharing=self._sharing,
            queued=self._queued,
            begun=partial(self._begun, call.streaming, prefixes.length, cached),
        )
        taken = Answering(call, forward, parts)
        self._tasks.add(taken.task)
        taken.task.add_done_callback(partial(self._done, self._clock()))
        return taken

    def _begun(self, streaming: bool, length: int, cached: int, elapsed: float) -> None:
        self.times.add(elapsed)
        # What comes in one piece doesn't tell how much of its time the prompt took.
        if streaming:
            self.pace.add(length, cached, elapsed - self._queued(elapsed))

    def _done(self, began: float, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self.wholes.add(self._clock() - began)

    def _sharing(self) -> int:
        """How many calls run now: all of ours, unless the server says that some have to wait."""
        signals = self._signals()
        return max(1, signals.running) if signals.waiting else len(self._tasks)

    def _queued(self, elapsed: float) -> float:
        signals = self._signals()
        if not signals.waiting:
            return 0.0
        return time_queued(signals.waiting, signals.running, elapsed, self.wholes.quantile(0.5))

    def _forward(self, call: Call) -> Forward:
        if len(self._tasks) >= self._most:
            raise PenstockError(
                Kind.OVERLOADED, "the model's server has enough to do", retry_after=1.0
            )
        model = self._roster.get(call.model, call.version).upstream
        if call.openai is None:
            check_inputs(SIGNATURE, call.inputs, call.datatypes)
        return Forward(self._upstream, self._habits, self._asking, call, model)
