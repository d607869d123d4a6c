"""Who counts a worker's limits: the worker alone, or a ledger that it shares with others."""

import secrets
import socket
from typing import TYPE_CHECKING

from gateway.config import Config
from gateway.metrics import Totals
from gateway.state.leasing import Leasing, SharedLedger
from gateway.state.supervisor_ledger import SupervisorLedger
from policies.limits.elsewhere import Elsewhere
from protos import discovery_pb2 as pb

if TYPE_CHECKING:
    from gateway.state.redis import Redis


def leasing(
    config: Config,
    process: str,
    supervisor: str,
    redis: "Redis | None",
    elsewhere: Elsewhere,
) -> Leasing | None:
    """How a worker leases its limits; None where it is the only one that admits requests.

    With Redis every worker asks it directly: a supervisor in between would be one more hop and one
    more that can fail, and would save a few small calls a second.
    """
    ledger: SharedLedger
    if redis is not None:
        from gateway.state.redis_ledger import RedisLedger  # which takes the extra `redis`

        ledger = RedisLedger(redis)
    elif config.workers > 1:
        ledger = SupervisorLedger(supervisor)
    else:
        return None
    # Distinct for each start: what another process of this name had is out until it is given up.
    holder = f"{socket.gethostname()}/{process}/{secrets.token_hex(4)}"
    return Leasing(ledger, holder, config.workers, elsewhere)


def register(totals: Totals, leasing: Leasing) -> None:
    """Adds what sharing limits costs and how exact it is."""
    lessee = leasing.lessee
    totals.add(
        "penstock_lease_exchanges",
        "Times that limits were leased or given back, many at once.",
        lambda: leasing.exchanges,
    )
    totals.add(
        "penstock_lease_waits",
        "Requests that waited for an answer about a limit.",
        lambda: lessee.asked,
    )
    totals.add(
        "penstock_lease_losses",
        "Times that the shared state couldn't be reached, and each process admitted its share.",
        lambda: lessee.losses,
    )
    totals.add_labelled(
        "penstock_limit_over_admitted",
        "What was admitted on credit and then turned out not to be there, by limit.",
        ("limit",),
        lambda: {(str(limit),): amount for limit, amount in lessee.over_admitted.items()},
    )
    totals.add_gauge(
        "penstock_limit_over_admission_bound",
        "The most that can be admitted too much of a limit at once, over all gateways.",
        ("limit",),
        lambda: {(str(limit),): bound for limit, bound in list(lessee.bounds.items())},
        pb.MAX,
    )
