"""What the scheduler keeps of a job, and the one number that says whose turn it is."""

from typing import TYPE_CHECKING, Any

from backends.batching.job import Job

if TYPE_CHECKING:
    from backends.batching.lanes import Lane
    from backends.batching.tenants import Account
    from backends.batching.tickets import Ticket

# Seconds after which a job without (or with a distant) deadline counts as due, and by which each
# level of priority is worth more than the next.
PATIENCE = 5.0
# Added to the urgency of shadow jobs: later than anything that somebody waits for.
LAST = 1e12

# An entry of a heap: [key, number, Queued or None]. Taking a job out of the middle empties its
# entries, which are dropped when they surface; so its inputs are not kept alive by a heap.
Slot = list[Any]


def urgency(job: Job, levels: int) -> float:
    """When the job is due on a scale that mixes deadline, priority and age; smaller goes first.

    Within a priority that is earliest deadline first. A level of priority is worth PATIENCE seconds
    and the deadline is cut at PATIENCE, so an equally old job of higher priority always goes
    first, and whoever waits long enough is due before all newcomers: nothing starves. Priorities
    below the model's last level count as the last.
    """
    level = min(job.priority, levels) - 1
    due = min(job.deadline, job.arrival + PATIENCE) + level * PATIENCE
    return due + LAST if job.shadow else due


class Queued:
    """Rows `start` to `start + rows` of a job, waiting; `work` is in predicted device seconds."""

    __slots__ = ("account", "expiry", "job", "lane", "order", "rows", "start", "ticket", "work")

    def __init__(
        self,
        ticket: "Ticket",
        start: int,
        rows: int,
        key: float,
        number: int,
        lane: "Lane",
        account: "Account",
        work: float,
    ) -> None:
        job = ticket.job
        self.ticket = ticket
        self.job = job
        self.start = start
        self.rows = rows
        self.lane = lane
        self.account = account
        self.work = work
        self.order: Slot = [key, number, self]
        self.expiry: Slot = [job.deadline, number, self]
