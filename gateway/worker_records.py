"""What a worker writes down, all of it off the way of requests."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from gateway.audit.log import AuditLog
from gateway.audit.samples import Redact, SampleFiles
from gateway.config import Config
from gateway.grace import RECORDS_CLOSE
from gateway.records import Records
from gateway.remember import Observe
from gateway.routes.decision_log import DecisionLog, Named, Seal, gateways_key
from gateway.store.engine import Store
from gateway.store.recorder import Recorder
from gateway.usage.accounts import Accounts
from policies.limits.elsewhere import Elsewhere
from routing.decisions import Decision
from routing.rules.table import RouteTable
from routing.shadow.record import PairRecord

log = logging.getLogger(__name__)


class WorkerRecords:
    """Comparisons, decisions, usage, the audit log, and samples of payloads.

    `name` and `process` are the worker's. `table` gives the rules in force, `redact` hides what a
    route's privacy policy finds in a sample, `named` what it finds in the name of a model;
    `elsewhere` is told what was used of budgets.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        process: str,
        elsewhere: Elsewhere,
        table: Callable[[], RouteTable],
        redact: Redact,
        named: Named,
    ) -> None:
        role = f"worker-{process.partition('/')[0]}"
        self.audit = AuditLog.of(config, role)
        folder = config.audit_folder / "payloads"
        self.samples = SampleFiles(folder, role, redact, keep=config.audit.keep_payloads)
        self.records = Records(config.store_url)
        self.pairs = self.records.recorder(_write_pairs, "comparisons")
        self.decided, self.decisions = self._decisions(config, table, named)
        self.accounts = Accounts(self.records, name, elsewhere, config.usage.tenants)

    async def close(self) -> None:
        """Writes what waits, each for at most `RECORDS_CLOSE` seconds."""
        await self.accounts.close()
        for each in (self.records, self.samples, self.audit):
            await asyncio.to_thread(each.close, RECORDS_CLOSE)

    def _decisions(
        self, config: Config, table: Callable[[], RouteTable], named: Named
    ) -> tuple[Observe, Recorder[Decision] | None]:
        """What is told of each request, and what writes it, as long as records can be sealed."""
        try:
            seal = Seal(gateways_key(config.state_folder, config.decisions.key_file))
        except (OSError, ValueError) as failure:
            log.warning("decisions are not recorded: %s", failure)
            return (lambda request, code, now: None), None
        decisions = self.records.recorder(_write_decisions, "decisions")
        chance = random.Random()  # noqa: S311 (no secret)
        written = DecisionLog(
            table,
            seal,
            decisions.put,
            per_second=config.decisions.per_second / config.workers,
            rng=chance.random,
            wall=time.time,
            named=named,
        )
        return written.observe, decisions


def _write_pairs(store: Store, records: Sequence[PairRecord]) -> None:
    store.pairs.append(records)


def _write_decisions(store: Store, records: Sequence[Decision]) -> None:
    store.decisions.append(records)
