"""What there is to show."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.audit.log import AuditLog
from gateway.console.history import History
from gateway.console.reports import Report
from gateway.hub import Hub
from gateway.recent import RecentRequests
from gateway.rules import Rules
from gateway.store.engine import Store


@dataclass(frozen=True, slots=True)
class Shown:
    """What the console shows of a gateway, and whom it tells what is done with it.

    `name` is the gateway's, `store` opens the record store and is called from threads.
    """

    name: str
    hub: Hub
    rules: Rules
    history: History
    recent: RecentRequests
    store: Callable[[], Store]
    audit: AuditLog
    report: Report
