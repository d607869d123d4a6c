"""Which requests are mirrored, and the copy that is sent."""

from collections.abc import Callable, Iterable
from math import inf

from protos.route.mirror import Compare, Mirror
from protos.schedule import MAX_PRIORITY
from protos.values import Context, InferRequest, Target, Timeline

# A copy ends at some time even where its primary may take for ever.
LONGEST = 300.0  # seconds


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


def copy_of(request: InferRequest, target: Target, now: float) -> InferRequest:
    """The request as `target` gets it: the same payload, not a copy of it, and times of its own.

    It has the whole time that the primary had at its start. Without a route, nothing that routes
    ask for (retries, hedging, another mirror) happens to it.
    """
    c = request.context
    passed = now - c.timeline.start
    context = Context(
        c.principal,
        now + LONGEST if c.deadline == inf else c.deadline + passed,
        Timeline(now),
        target,
        c.traceparent,
        MAX_PRIORITY,
        True,
        c.streaming,
        first_deadline=c.first_deadline + passed,
    )
    return InferRequest(
        request.id, target.model, target.version, request.payload, request.parameters, context
    )
