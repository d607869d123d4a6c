"""What a worker shares with others: how much is left of limits, and kept answers."""

import asyncio
import time
from typing import TYPE_CHECKING

from gateway.config import Config
from gateway.metrics import Labelled, Totals
from gateway.state.allowances import leasing, register
from gateway.state.settings import StateSettings
from policies.limits.allowance import Make
from policies.limits.elsewhere import Elsewhere
from policies.limits.local import Local
from protos import discovery_pb2 as pb

if TYPE_CHECKING:
    from gateway.state.redis import Redis


class Shared:
    """`allowances` makes those of limits, `answers` is the server of kept answers, if there is one.

    Both have a client of their own, so that a burst of large answers costs no limit its ledger.
    """

    def __init__(self, config: Config, process: str, supervisor: str, elsewhere: Elsewhere) -> None:
        self._limits = _server(config.state, "shared state")
        self.answers = _server(config.state, "shared cache")
        self._leasing = leasing(config, process, supervisor, self._limits, elsewhere)
        self.allowances: Make = Local(time.time, elsewhere)
        if self._leasing is not None:
            self.allowances = self._leasing.lessee

    def register(self, totals: Totals) -> None:
        if self._leasing is not None:
            register(totals, self._leasing)
        totals.add_gauge(
            "penstock_state_up",
            "1 while what is shared can be reached: limits' leases, and kept answers.",
            ("what",),
            self._up,
            pb.MIN,
        )

    def _up(self) -> Labelled:
        """Nothing where nothing is shared."""
        up: dict[tuple[str, ...], float] = {}
        if self._leasing is not None:
            up["limits",] = float(not self._leasing.lessee.lost)
        if self.answers is not None:
            up["answers",] = float(self.answers.up)
        return up

    async def start(self) -> None:
        servers = (self._limits, self.answers)
        await asyncio.gather(*(each.start() for each in servers if each is not None))
        if self._leasing is not None:
            self._leasing.start()

    async def close(self) -> None:
        if self._leasing is not None:
            await self._leasing.close()
        for server in (self._limits, self.answers):
            if server is not None:
                await server.close()


def _server(settings: StateSettings, holds: str) -> "Redis | None":
    """None where one machine shares with nobody."""
    if not settings.shared:
        return None
    from gateway.state.redis import Redis  # which takes the extra `redis`

    return Redis(settings, holds)
