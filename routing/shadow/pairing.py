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
from dataclasses import dataclass, field
from functools import lru_cache

from protos.route.mirror import Compare, Mirror
from protos.route.snapshot import RouteSnapshot
from protos.values import InferRequest, Part
from routing.shadow.capture import NO_ROOM, NOT_KEPT, Capture, Room
from routing.shadow.record import Outcome, PairRecord, Side, Status

log = logging.getLogger(__name__)

HELD_BYTES = 64 << 20  # a worker
WAITING_PAIRS = 1024
# Dropped pairs are nothing but their record, yet a flood of them is bounded too.
WAITING_RECORDS = 16_384
SHAPE_LENGTH = 200  # characters

LINGER = 0.05  # seconds that pairs wait for others
# So long the thread works while the event loop may be waiting for the interpreter, in seconds. It
# would get it unasked, but only after `sys.getswitchinterval()`, 5 ms.
SLICE = 0.00025

LAGGING = "the comparisons lag behind"
BUSY = "the candidate refused it, as it was too busy"
GONE = "the client went away"

Comparator = Callable[[Sequence[Part], Sequence[Part]], Outcome]  # primary, candidate
Redact = Callable[[RouteSnapshot, Sequence[Part], Sequence[Part]], str]


@dataclass(slots=True)
class MirrorCounts:
    """One mirror's copies; all but `sent`, `noise_sent` and `in_flight` count pairs by status."""

    sent: int = 0
    noise_sent: int = 0
    in_flight: int = 0
    dropped: int = 0
    failed: int = 0
    primary_failed: int = 0
    compared: int = 0
    incomparable: int = 0


@dataclass(slots=True)
class Pair:
    """A mirrored request on its way to becoming a record. The event loop's until it is submitted.

    `open` counts what is still under way: the primary, the sending of copies, and each copy.
    """

    route: RouteSnapshot
    rule: Mirror
    counts: MirrorCounts
    at: float
    submit: Callable[["Pair"], None]
    primary: Capture = field(init=False)
    candidate: Capture | None = None
    noise: Capture | None = None
    open: int = 2
    arm: str = ""
    primary_version: str = ""
    version: str = ""
    tenant: str = ""
    trace_id: str = ""
    request_id: str = ""
    shape: str = ""
    held: int = 0  # bytes of the room, for the inputs
    dropped: str = ""  # why it was

    def describe(self, request: InferRequest) -> None:
        """What goes into the record of the request, which is nothing of its content."""
        context = request.context
        self.arm = context.target.arm if context.target else ""
        self.primary_version = request.version
        self.tenant = context.principal.tenant
        self.trace_id = context.traceparent[3:35]
        self.request_id = request.id
        self.shape = shape_of(request)

    def drop(self, why: str) -> None:
        """Neither answer needs to be kept any more."""
        self.dropped = self.dropped or why
        for capture in (self.primary, self.candidate, self.noise):
            if capture is not None:
                capture.discard()

    def forget(self) -> None:
        """This request wasn't to be mirrored after all: there will be no record."""
        self.drop(NOT_KEPT)
        self.submit = _nothing

    def ended(self) -> None:
        """One of those that were under way is over."""
        self.open -= 1
        if not self.open:
            self.submit(self)

    def verdict(self) -> tuple[Status | None, str]:
        """The status and why, as far as it is known without a comparison; None asks for one."""
        candidate = self.candidate
        if self.primary.error:
            return "primary_failed", GONE if self.primary.error == "cancelled" else ""
        if self.dropped or candidate is None:
            return "dropped", self.dropped
        if candidate.error == "overloaded":
            # The lowest priority is refused first: this is about the load, not about the candidate.
            return "dropped", BUSY
        if candidate.error:
            return "candidate_failed", ""
        missing = self.primary.missing or candidate.missing
        if missing == NO_ROOM:
            return "dropped", missing
        return ("incomparable", missing) if missing else (None, "")


class Pairing:
    """Owns the thread, which starts with the first pair.

    `comparator` makes the comparison that a mirror asks for. `sink` takes the records: it is called
    by the thread, must not wait, and returns False for a record that it drops. `redact` turns two
    answers into JSON that may be stored; without it no payloads are.
    """

    def __init__(
        self,
        comparator: Callable[[Compare], Comparator],
        sink: Callable[[PairRecord], bool],
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
        self.refused = 0  # records that the sink dropped

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
                if not self._sink(self._record(pair)):
                    self.refused += 1
            except Exception:
                self.refused += 1
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
        if status is None:
            status = "incomparable" if outcome.agrees is None else "compared"
        _count(pair.counts, status)
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
            log.exception("two answers of route %s could not be compared", pair.route.name)
            return Outcome(None, reason=f"the comparison failed ({type(error).__name__})")

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
            return self._redact(pair.route, pair.primary.parts, candidate.parts)
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


def rollout_of(route: RouteSnapshot, mirror: Mirror) -> str:
    """The rollout under way if it is its candidate that is mirrored, whoever asked for the mirror.

    A route's own mirror of the candidate is evidence for the rollout like that of a mirror step.
    """
    candidate = route.arm(route.spec.candidate or "") if route.rollout else None
    if candidate is None or (candidate.model, candidate.version) != (mirror.model, mirror.version):
        return ""
    return route.rollout


def shape_of(request: InferRequest) -> str:
    """The inputs as a person writes them: `x FP32[1,64]`, several joined by a comma."""
    text = ", ".join(
        [
            f"{tensor.name} {tensor.datatype}[{','.join(map(str, tensor.shape))}]"
            for tensor in request.payload.tensors[:SHAPE_LENGTH]
        ]
    )
    return text if len(text) <= SHAPE_LENGTH else text[: SHAPE_LENGTH - 1] + "…"


def _nothing(pair: Pair) -> None:
    return None


def _count(counts: MirrorCounts, status: Status) -> None:
    # By the thread alone: other threads only read.
    match status:
        case "compared":
            counts.compared += 1
        case "candidate_failed":
            counts.failed += 1
        case "primary_failed":
            counts.primary_failed += 1
        case "incomparable":
            counts.incomparable += 1
        case "dropped":
            counts.dropped += 1
