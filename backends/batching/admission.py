"""Whether a job would be done in time if it were queued now: refused at arrival, not after waiting.

Predicted times are rounded up to whole batches, since a job waits for its batch to end.
"""

from collections.abc import Callable
from math import ceil, inf

from backends.batching.job import Job
from backends.batching.lanes import CAUTION, Lane
from protos.errors import Kind, PenstockError

LEAST_RETRY_AFTER = 0.01  # seconds


def check_room(job: Job, lane: Lane, work: float) -> None:
    """Raises TOO_LARGE or OVERLOADED if the model's queue has no room; `work`: seconds ahead."""
    model = lane.model
    bound = model.policy.max_queue_rows
    if job.rows > bound:
        raise PenstockError(
            Kind.TOO_LARGE, f"inputs: {job.rows} rows, the model's queue holds at most {bound}"
        )
    # Shadow jobs must not take the places of those that somebody waits for.
    queued = model.rows + (model.shadow_rows if job.shadow else 0)
    if queued + job.rows > bound:
        raise _overloaded("the model's queue is full", work)


def check_time(
    job: Job, lane: Lane, now: float, busy: float, total: float, ahead: Callable[[], float]
) -> None:
    """Raises OVERLOADED if the job would miss its deadline.

    In predicted seconds: `busy` until the device has finished what it has begun, `total` for all
    that waits, `ahead` for what goes before the job, which takes longer to find out.
    """
    remaining = job.deadline - now
    rows = job.rows if lane.policy.max_rows else 1
    work = lane.row_cost * rows
    if remaining == inf or (busy + total + work + lane.full_cost) * CAUTION <= remaining:
        return  # however the order turns out
    finish = (busy + _whole_batches(lane, rows, work + ahead())) * CAUTION
    if finish > remaining:
        raise _overloaded("the request would not be done by its deadline", finish - remaining)


def _whole_batches(lane: Lane, rows: int, work: float) -> float:
    full = lane.full_cost
    if 0.0 < full < work:
        return full * ceil(work / full)  # the last one fills up, too
    most = lane.policy.max_rows or 1
    # Between the smallest batch and the largest, which is near enough within one batch.
    part = min(lane.rows + rows, most) / most
    return max(work, lane.single_cost + (full - lane.single_cost) * part)


def _overloaded(why: str, wait: float) -> PenstockError:
    return PenstockError(Kind.OVERLOADED, why, retry_after=max(wait, LEAST_RETRY_AFTER))
