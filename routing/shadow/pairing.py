"""Makes a record of each mirrored request once its answers are there, off the event loop.

Comparing costs from microseconds to milliseconds, so one thread of its own does it. Before it
stands a bounded queue: what doesn't fit is dropped, and the record says so, so that the coverage
stays honest.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from protos.route.mirror import Compare
from protos.route.snapshot import RouteSnapshot
from protos.values import Part
from routing.shadow.capture import Capture, Room
from routing.shadow.pair import MirrorCounts, Pair, rollout_of
from routing.shadow.record import Outcome, PairRecord, Side

log = logging.getLogger(__name__)

HELD_BYTES = 64 << 20  # a worker
WAITING_PAIRS = 1024
# Dropped pairs are nothing but their record, yet a flood of them is bounded too.
WAITING_RECORDS = 16_384

LINGER = 0.05  # seconds that pairs wait for others
# So long the thread works while the event loop may be waiting for the interpreter, in seconds. It
# would get it unasked, but only after `sys.getswitchinterval()`, 5 ms.
SLICE = 0.00025

LAGGING = "the comparisons lag behind"

Comparator = Callable[[Sequence[Part], Sequence[Part]], Outcome]  # primary, candidate


class Redact(Protocol):
    """What a record may hold of two answers. Both are called by the thread, and may raise."""

    def answers(self, route: RouteSnapshot, primary: Sequence[Part], other: Sequence[Part]) -> str:
        """The answers as JSON that may be stored; empty where none may be."""

    def sentence(self, route: RouteSnapshot, text: str) -> str:
        """A label or a reason, which may quote an answer, as it may be stored."""


class Pairing:
    """Owns the thread, which starts with the first pair.

    `comparator` makes the comparison that a mirror asks for. `sink` takes the records: it is called
    by the thread, must not wait, and counts what it drops. `redact` says what of answers may be
    stored; without it no payloads are.
    """

    def __init__(
        self,
        comparator: Callable[[Compare], Comparator],
        sink: Callable[[PairRecord], object],
        *,
        redact: Redact | None = None,
        waiting: int = WAITING_PAIRS,
        room: int = HELD_BYTES,
    ) -> None:
        self._comparator = lru_cache(256)(comparator)
        self._sink = sink
        self._redact = redact
        self._waiting = waiting
        self._queue: deque[Pair] = deque()  # its ends may be used from different threads
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self.room = Room(room)
        self.counts: dict[tuple[str, str], MirrorCounts] = {}  # by route and mirror
        self.overflowed = 0  # pairs without a record, as too many were waiting
        self.failed = 0  # records that could not be made or handed over

    def counts_of(self, route: str, mirror: str) -> MirrorCounts:
        found = self.counts.get((route, mirror))
        if found is None:
            found = self.counts[route, mirror] = MirrorCounts()
        return found

    def submit(self, pair: Pair) -> None:
        """Takes a pair whose answers are over. Called by the event loop; never waits."""
        status, _ = pair.verdict()
        waiting = len(self._queue)
        if status is not None:
            self._release(pair)
        elif waiting >= self._waiting:
            pair.drop(LAGGING)
            self._release(pair)
        if self._closing.is_set() or waiting >= WAITING_RECORDS:
            self.overflowed += 1
            self._release(pair)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow pairs", daemon=True)
            self._thread.start()
        self._queue.append(pair)

    def close(self, timeout: float) -> None:
        """Compares what is waiting, for so many seconds at most. Waits: not for the event loop."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                log.warning("%d mirrored requests are left uncompared", len(self._queue))

    def _run(self) -> None:
        # Not woken by each pair: that would cost the event loop more than a comparison does.
        while not self._closing.wait(LINGER):
            self._work()
        self._work()

    def _work(self) -> None:
        pause = time.monotonic() + SLICE
        while self._queue:
            pair = self._queue.popleft()
            try:
                self._sink(self._record(pair))
            except Exception:
                self.failed += 1
                log.exception("a record of shadow traffic was lost")
            self._release(pair)
            if time.monotonic() > pause:
                time.sleep(0)  # gives the interpreter to the event loop, if that waits for it
                pause = time.monotonic() + SLICE

    def _record(self, pair: Pair) -> PairRecord:
        candidate = pair.candidate
        status, why = pair.verdict()
        outcome, noise, payloads = Outcome(None, reason=why), None, ""
        if status is None and candidate is not None:
            outcome = self._compared(pair, candidate)
            if outcome.agrees is not None:
                noise = self._noise(pair)
                payloads = self._payloads(pair, candidate, outcome)
            outcome = self._told(pair, outcome)
        if status is None:
            status = "incomparable" if outcome.agrees is None else "compared"
        pair.counts.add(status)
        return PairRecord(
            at=pair.at,
            route=pair.route.name,
            mirror=pair.rule.backend,
            arm=pair.arm,
            model=pair.rule.model,
            version=pair.version,
            primary_version=pair.primary_version,
            tenant=pair.tenant,
            trace_id=pair.trace_id,
            request_id=pair.request_id,
            kind=pair.rule.compare.kind,
            status=status,
            primary=pair.primary.side(),
            candidate=candidate.side() if candidate is not None else Side(),
            outcome=outcome,
            noise=noise,
            # What a refused request calls its inputs is the client's text, not the model's.
            shape="" if status == "primary_failed" else pair.shape,
            rollout=rollout_of(pair.route, pair.rule),
            payloads=payloads,
        )

    def _compared(self, pair: Pair, other: Capture) -> Outcome:
        try:
            return self._comparator(pair.rule.compare)(pair.primary.parts, other.parts)
        except Exception as error:
            # No traceback: a comparator's error may quote what it compares.
            kind = type(error).__name__
            log.error("two answers of route %s could not be compared: %s", pair.route.name, kind)
            return Outcome(None, reason=f"the comparison failed ({kind})")

    def _told(self, pair: Pair, outcome: Outcome) -> Outcome:
        """The outcome with a label and a reason that may be stored."""
        if self._redact is None or not (outcome.label or outcome.reason):
            return outcome
        sentence = self._redact.sentence
        try:
            label, reason = (sentence(pair.route, text) for text in (outcome.label, outcome.reason))
        except Exception as error:
            log.error("a label could not be redacted and is not kept: %s", type(error).__name__)
            label = reason = ""
        return replace(outcome, label=label, reason=reason)

    def _noise(self, pair: Pair) -> Outcome | None:
        """None as well where the second answer failed, wasn't kept or isn't comparable."""
        again = pair.noise
        if again is None or again.error or again.missing:
            return None
        outcome = self._compared(pair, again)
        return None if outcome.agrees is None else outcome

    def _payloads(self, pair: Pair, candidate: Capture, outcome: Outcome) -> str:
        if outcome.agrees or self._redact is None or not pair.rule.compare.payloads:
            return ""
        try:
            return self._redact.answers(pair.route, pair.primary.parts, candidate.parts)
        except Exception as error:
            # No traceback: its last line may quote what was to be redacted.
            log.error("answers could not be redacted and are not kept: %s", type(error).__name__)
            return ""

    def _release(self, pair: Pair) -> None:
        for capture in (pair.primary, pair.candidate, pair.noise):
            if capture is not None:
                capture.discard(capture.missing)
        self.room.give(pair.held)
        pair.held = 0
