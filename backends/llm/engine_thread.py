"""The thread in which an engine steps, for as long as anybody wants something of it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from backends.llm.engine import Ask, Counts, Engine, RunnerLost, Step
from protos.errors import PenstockError
from protos.incident import incident


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the engine was after its last step; `use` is the share of its cache."""

    waiting: int = 0
    running: int = 0
    use: float = 0.0
    cached: int = 0
    preemptions: int = 0


class EngineThread:
    """Requests and cancellations take effect between steps; `deliver` is called in the thread."""

    def __init__(
        self,
        engine: Engine,
        deliver: Callable[[Step], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._deliver = deliver
        self._clock = clock
        self._inbox: deque[Callable[[Step], None]] = deque()
        self._coming = False  # whether a request is in it
        self._wake = threading.Condition()
        self._stopping = False
        self._stepping: float | None = None
        self.load = Load()
        self.steps = 0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> Counts:
        return self._engine.counts

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stuck(self) -> float:
        """Seconds that the step under way has taken so far."""
        begun = self._stepping
        return 0.0 if begun is None else self._clock() - begun

    def add(self, id_: Hashable, ask: Ask) -> None:
        def begin(step: Step) -> None:
            try:
                self._engine.add(id_, ask)
            except PenstockError as error:
                step.append((id_, error))
            except Exception as error:
                self._engine.cancel(id_)
                step.append((id_, incident(error, "the engine could not take a request")))

        self._put(begin, coming=True)

    def cancel(self, id_: Hashable) -> None:
        """Nothing for one that is over, which may be known here before it is there."""

        def end(_: Step) -> None:
            try:
                self._engine.cancel(id_)
            except Exception as error:  # those behind it in line shall not be lost
                incident(error, "the engine could not let go of a request")

        self._put(end)

    def stop(self, timeout: float) -> None:
        """Ends after the step under way; what is unfinished stays so."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout)

    def _put(self, what: Callable[[Step], None], *, coming: bool = False) -> None:
        with self._wake:
            self._inbox.append(what)
            self._coming |= coming
            self._wake.notify()

    def _called(self) -> bool:
        """Whether somebody waits for the next step; who leaves doesn't."""
        return self._coming

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._stopping or self._inbox or self._engine.busy):
                    self._wake.wait()
                if self._stopping:
                    return
                todo, self._inbox, self._coming = self._inbox, deque(), False
            step: Step = []
            self._stepping = self._clock()
            try:
                for each in todo:
                    each(step)
                step += self._engine.step(self._stepping, self._called)
            except RunnerLost:
                # Nobody is told: the process ends, and what is lost with it, others may repeat.
                return
            except Exception as error:  # those it was for shall not wait for ever
                step += self._engine.abandon(incident(error, "the engine's step failed"))
            self._stepping = None
            self.steps += 1
            scheduler = self._engine.scheduler
            self.load = Load(
                len(scheduler.waiting),
                len(scheduler.running),
                scheduler.pool.use,
                scheduler.pool.cached,
                scheduler.preemptions,
            )
            if step:
                self._deliver(step)
