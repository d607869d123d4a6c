"""Which requests are mirrored, and the copy that is sent."""

from collections.abc import Callable, Iterable
from math import inf

from protos import schedule
from protos.route.mirror import Compare, Mirror
from protos.route.policies import Timeouts
from protos.timeline import Target, Timeline
from protos.values import Context, InferRequest


def chosen(mirrors: Iterable[Mirror], rng: Callable[[], float]) -> list[Mirror]:
    """The mirrors that get a copy; one die each, so that they are independent of each other.

    `rng` gives numbers in [0, 1), so 100 percent are all and 0 none.
    """
    return [mirror for mirror in mirrors if rng() * 100.0 < mirror.percent]


def asks_again(compare: Compare, arm: str, rng: Callable[[], float]) -> bool:
    """Whether the primary's arm is asked a second time, for the noise floor.

    What another arm answers says nothing about the noise of `noiseFloor`, so there it isn't asked.
    """
    return compare.noise_floor == arm and rng() < compare.noise_sample


def copy_of(
    request: InferRequest, target: Target, timeouts: Timeouts, total: float, now: float
) -> InferRequest:
    """The request as `target` gets it: the same payload, not a copy of it, and times of its own.

    Those are its route's, or `total` seconds where that has none, and never the client's: the
    lowest priority waits longest, and by a patience that the primary just met, copies that only
    waited would be failures. Without a route, nothing that routes ask for (retries, hedging,
    another mirror) happens to it.
    """
    c = request.context
    first = timeouts.first_token
    context = Context(
        c.principal,
        now + (timeouts.total or total),
        Timeline(now, tracestate=c.timeline.tracestate),
        target,
        c.traceparent,
        schedule.MAX_PRIORITY,
        True,
        c.streaming,
        first_deadline=now + first if first and c.streaming else inf,
    )
    parameters = request.parameters
    if schedule.TIMEOUT in parameters:  # which backends would keep
        parameters = {key: parameters[key] for key in parameters if key != schedule.TIMEOUT}
    return InferRequest(
        request.id, target.model, target.version, request.payload, parameters, context
    )
