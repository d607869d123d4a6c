"""What the calls to one endpoint and model version came to, and whether it is in service.

An ejected endpoint is half open when its time is over: one request at a time finds out whether it
works again. `outlier.py` decides who is ejected.
"""

from enum import StrEnum

from protos.errors import Kind

# What fails together has one cause (a batch, a stream that died) and counts once.
BURST = 0.010  # seconds
BASE = 5.0  # seconds of the first ejection; each further one doubles it
LONGEST = 300.0
# For each of these spent in service an endpoint's next ejection is halved again.
HEAL = 60.0  # seconds
# A probe that told nothing (cancelled, refused for load) is made again after this.
INCONCLUSIVE = 1.0  # seconds
WINDOW = 10.0  # seconds; success rates are of the last one to two windows

FAULTS = frozenset(
    (
        Kind.LOST,
        Kind.CUT_OFF,
        Kind.UNAVAILABLE,
        Kind.BAD_REPLY,
        Kind.INTERNAL,
        Kind.INTERRUPTED,
    )
)
# Says that the endpoint lives and is busy; no reason for or against it.
BUSY = frozenset((Kind.OVERLOADED, Kind.RATE_LIMITED, Kind.OCCUPIED))


class State(StrEnum):
    CLOSED = "closed"  # in service
    OPEN = "open"  # ejected
    HALF_OPEN = "half_open"  # a probe is on its way


class Event(StrEnum):
    EJECT = "eject"
    PROBE = "probe"
    SUCCEED = "succeed"
    FAIL = "fail"
    LAPSE = "lapse"  # the probe told nothing


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.CLOSED, Event.EJECT): State.OPEN,
    (State.OPEN, Event.PROBE): State.HALF_OPEN,
    (State.HALF_OPEN, Event.SUCCEED): State.CLOSED,
    (State.HALF_OPEN, Event.FAIL): State.OPEN,
    (State.HALF_OPEN, Event.LAPSE): State.OPEN,
}


class IllegalTransition(Exception):
    """An event that can't happen in this state: a mistake in the code that reported it."""


class Verdict(StrEnum):
    """What the end of one call says of the endpoint."""

    GOOD = "good"
    BAD = "bad"
    MODEL = "model"  # the model failed: the endpoint or the input is at fault
    NOTHING = "nothing"


def verdict(kind: Kind, *, connected: bool, late: bool) -> Verdict:
    """Judges a failure. `late`: the call took longer than the endpoint had made expect.

    A deadline that passed sooner was too short for the queue, which is no fault of the endpoint;
    nor is a deadline that the client chose, or a connection that was never there, since such an
    endpoint isn't usable anyway.
    """
    if kind is Kind.MODEL_FAILED:
        return Verdict.MODEL
    if kind is Kind.DEADLINE:
        return Verdict.BAD if late else Verdict.NOTHING
    if kind is Kind.UNAVAILABLE and not connected:
        return Verdict.NOTHING
    if kind in FAULTS:
        return Verdict.BAD
    return Verdict.NOTHING if kind in BUSY else Verdict.GOOD


class Breaker:
    """One endpoint and model version: what its calls came to, and whether it is in service."""

    __slots__ = (
        "_began",
        "_closed_at",
        "_counted_at",
        "_former",
        "_level",
        "asked",
        "consecutive",
        "failed",
        "last",
        "probe",
        "state",
        "until",
    )

    def __init__(self) -> None:
        self.state = State.CLOSED
        self.until = 0.0  # while OPEN: when it may be probed
        self.probe: object = None  # while HALF_OPEN: the request that probes
        self.last = Verdict.NOTHING  # on the call that ended last
        self.consecutive = 0
        self.asked = 0  # calls in this window, and how many of them the model failed at
        self.failed = 0
        self._former = (0, 0)
        self._began = 0.0
        self._counted_at = 0.0
        self._closed_at = 0.0
        self._level = 0

    def record(self, what: Verdict, now: float) -> None:
        """Notes how a call ended."""
        self.last = what
        if now - self._began >= WINDOW:
            self._roll(now)
        if what is Verdict.GOOD:
            self.asked += 1
            self.consecutive = 0
        elif what is Verdict.MODEL:
            self.asked += 1
            self.failed += 1
        elif what is Verdict.BAD and (now - self._counted_at >= BURST or not self.consecutive):
            self._counted_at = now
            self.consecutive += 1

    def rate(self, now: float) -> tuple[int, int]:
        """Calls, and those the model failed at, over the last one to two windows."""
        if now - self._began >= WINDOW:
            self._roll(now)
        return self.asked + self._former[0], self.failed + self._former[1]

    def eject(self, now: float) -> None:
        healed = int((now - self._closed_at) / HEAL)
        self._level = max(0, self._level - healed)
        self._to(Event.EJECT)
        self._stay_out(now)

    def begin_probe(self, probe: object) -> None:
        self._to(Event.PROBE)
        self.probe = probe

    def end_probe(self, what: Verdict, now: float) -> None:
        """A failing model fails the probe too: it was no success, and the next one comes."""
        self.probe = None
        match what:
            case Verdict.GOOD:
                self._to(Event.SUCCEED)
                self._closed_at = now
                self.consecutive = 0
            case Verdict.NOTHING:
                self._to(Event.LAPSE)
                self.until = now + INCONCLUSIVE
            case Verdict.BAD | Verdict.MODEL:
                self._to(Event.FAIL)
                self._stay_out(now)

    def _stay_out(self, now: float) -> None:
        self.until = now + min(LONGEST, BASE * 2.0 ** min(self._level, 16))
        self._level += 1
        self.consecutive = 0
        # Judged anew when it is back.
        self.asked = self.failed = 0
        self._former = (0, 0)

    def _roll(self, now: float) -> None:
        recent = now - self._began < 2 * WINDOW
        self._former = (self.asked, self.failed) if recent else (0, 0)
        self.asked = self.failed = 0
        self._began = now

    def _to(self, event: Event) -> None:
        after = TRANSITIONS.get((self.state, event))
        if after is None:
            raise IllegalTransition(f"{event} while {self.state}")
        self.state = after

    def __repr__(self) -> str:
        return f"<Breaker {self.state}, {self.consecutive} failures in a row>"
