"""How long a connection may take for what its client has to do next."""

from enum import Enum, auto

from gateway.listening import Limits

MIN_BODY_RATE = 64 * 1024  # bytes a second that a body must keep up once bodyTimeout is over
LINGER = 2.0  # seconds for a client to read a reply that came before it had sent everything
DRAIN_IDLE = 0.25  # seconds for a request that crosses the decision to close an idle connection
# A balancer goes on using the connections that it keeps until its checks have failed: two a second
# apart, as in deploy/. Requests that cross the end of one are lost, and it may not repeat them.
NOTICED = 3.0  # seconds


class Phase(Enum):
    """What the client has to do next."""

    AWAIT = auto()  # send a request
    HEAD = auto()  # finish its head
    BODY = auto()  # finish its body
    ANSWER = auto()  # nothing, the reply is ours
    LINGER = auto()  # read the last reply and close
    CLOSED = auto()  # take what is still in the socket's buffer


def patience(phase: Phase, limits: Limits, body_received: int, draining: bool) -> float:
    """Seconds that the client has for the phase, from its beginning.

    A body's time grows with what has arrived, so that a large one over a thin line may finish and
    one byte a second may not.
    """
    match phase:
        case Phase.AWAIT:
            return DRAIN_IDLE if draining else limits.idle_timeout
        case Phase.HEAD:
            return limits.header_timeout
        case Phase.BODY:
            return limits.body_timeout + body_received / MIN_BODY_RATE
        case Phase.ANSWER:
            return float("inf")
        case Phase.LINGER:
            return LINGER
        case Phase.CLOSED:
            return limits.body_timeout
