"""The audit record of one change of a rollout."""

from dataclasses import dataclass

CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class Event:
    """Written in the transaction that makes the change, so that neither exists without the other.

    `at` is Unix time in seconds. `actor` is "controller" or a token's subject@tenant. `action` is
    the verb (begin, step, wait, hold, …); `step`, counted from 0, and `weight`, in percent, are
    those after the change.
    """

    at: float
    route: str
    rollout: str
    actor: str
    action: str
    from_status: str
    to_status: str
    step: int
    weight: float
    reason: str
