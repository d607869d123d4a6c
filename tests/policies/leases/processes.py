"""Processes that share limits by way of a ledger, in time that passes when it is told to."""

import asyncio
import json

from policies.leases.ledger import Ledger
from policies.leases.lessee import Batch, Lessee
from policies.limits.allowance import ASK, Allowance, LimitId
from policies.limits.elsewhere import Elsewhere
from protos.route.policies import Limit

NOON = 1_700_000_000.0 // 86400 * 86400 + 43200.0
KEY = "acme"


def limit(**written: object) -> Limit:
    return Limit.model_validate_json(json.dumps({"per": "tenant", **written}))


class Machine:
    """Processes with one ledger; time passes when it is told to."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.now = 100.0
        self.wall = NOON
        self.reachable = True

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


class Process:
    def __init__(
        self, machine: Machine, name: str, holders: int = 1, elsewhere: Elsewhere | None = None
    ) -> None:
        self.machine = machine
        self.lessee = Lessee(name, holders, lambda: None, elsewhere)

    def of(self, limit: Limit, what: str = "tenant/requests") -> Allowance:
        return self.lessee(LimitId("fraud", what, 0), limit)

    def exchange(self, *, all_: bool = True) -> int:
        """Says what there is to say; how much that was."""
        machine, lessee = self.machine, self.lessee
        told = 0
        beat = Batch([], [], [])
        for batch in lessee.due(machine.now, machine.wall, all_=all_) or [beat]:
            told += len(batch.asks)
            if machine.reachable:
                answer = machine.ledger.exchange(
                    lessee.holder, batch.asks, machine.now, machine.wall
                )
                lessee.answered(batch, answer, machine.now)
            else:
                lessee.unanswered(batch, machine.now, machine.wall)
        return told

    def admit(self, allowance: Allowance, amount: float = 1.0, key: str = KEY) -> bool:
        """Whether the request is admitted, as the filter does it."""
        now = self.machine.now
        wait = allowance.wait(key, amount, now)
        if wait == ASK:
            asyncio.run(self._ask(allowance, key, amount))
            wait = allowance.wait(key, amount, now)
        if wait == 0.0:
            allowance.take(key, amount, now)
        return wait == 0.0

    async def _ask(self, allowance: Allowance, key: str, amount: float) -> None:
        asking = asyncio.create_task(allowance.ask(key, amount))
        await asyncio.sleep(0)
        assert self.lessee.urgent
        self.exchange(all_=False)
        await asking
