"""What other rules would change, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from routing.evidence.interval import Interval


class Target(NamedTuple):
    """What requests go to; `version` is the arm's as it is written, "" the newest."""

    route: str
    arm: str
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class Load:
    """Of one target, a second. `device_seconds` is how many devices are busy with it.

    `assumed`: no request to this model version was recorded, so that the time is that of the model
    versions which served these requests.
    """

    requests: Interval
    rows: Interval
    device_seconds: Interval
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Moves:
    """Of one route in force, the users by the arm of their last request and the one that it gets.

    `users` are all users, `moved` the share of those who get another arm among those of whom both
    arms are known.
    """

    users: Interval
    moved: Interval
    matrix: Mapping[tuple[str, str], Interval]


@dataclass(frozen=True, slots=True)
class Impact:
    """`since` and `until` are the first and the last record's time; loads are means over it.

    `elsewhere` records were made under other routes than those in force. `complete`: nothing was
    left out, so that the figures are counts. `before` and `after` have the requests that both rules
    place. `rematched` has requests a second by old and new route, `undetermined` those a second by
    what the records don't tell, `refused` by why those that nobody refuses now; each begins with
    the largest. `unserved` are requests a second that neither rules serve: they ask for a model or
    version that isn't there or that they may not have.
    """

    records: int
    elsewhere: int
    complete: bool
    since: float
    until: float
    before: Mapping[Target, Load]
    after: Mapping[Target, Load]
    moves: Mapping[str, Moves]
    rematched: Mapping[tuple[str, str], Interval]
    undetermined: Mapping[str, Interval]
    refused: Mapping[str, Interval]
    unserved: Interval
