"""What there is once in a gateway about routes: the documents in force, rollouts, and evidence."""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any

from gateway.arms import Told, write
from gateway.audit.log import AuditLog
from gateway.audit.metrics import register_failing
from gateway.config import Config
from gateway.hub import Hub
from gateway.records import Records
from gateway.rollout.controller import Rollouts
from gateway.routes.keeper import RouteKeeper
from gateway.routes.unserved import unserved
from gateway.telemetry.rollouts import register
from protos import discovery_pb2 as pb
from routing.rollout.event import Event

log = logging.getLogger(__name__)

LOOK_INTERVAL = 5.0  # seconds between looks at whether all arms are served
LAST_GOOD = "routes.last-good.json"


class Rules:
    """Keeps routes and rollouts, and tells the hub's workers of them."""

    def __init__(self, config: Config, hub: Hub, records: Records, audit: AuditLog) -> None:
        self._config = config
        self._audit = audit
        self._hub = hub
        self._records = records
        # Distinct for each start: a lead that was held before is not held any more.
        self._holder = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
        self.keeper = RouteKeeper(
            config.routes, config.state_folder / LAST_GOOD, hub.publish_routing
        )
        self.rollouts = Rollouts(
            self._records.store, self.keeper.by_name, self.keeper.take_effects, holder=self._holder
        )
        self.keeper.on_change = lambda facts: audit.recorded("routes.changed", **facts)
        self.keeper.on_refused = lambda problem: audit.event("routes.refused", problem=problem)
        self.rollouts.on_event = self._record
        self._told = self._records.recorder(write, "counts of arms")
        hub.on_arms = self._take
        self.unserved: dict[str, str] = {}  # why, by route/arm
        self._tasks: list[asyncio.Task[None]] = []
        self._count()

    async def start(self) -> None:
        """Raises ConfigError when there are no routes that could be in force."""
        await self.keeper.start()
        await self.rollouts.look()  # or candidates would have nothing until the first one
        self._begin(self.keeper.run(), "routes")
        self._begin(self.rollouts.run(), "rollouts")
        self._begin(self._watch_arms(), "arms")
        self._begin(self._records.tidy(self._config.store.keep), "tidying")

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch_arms(self) -> None:
        """Says once of each arm that nobody serves it, and once that it is served again."""
        told: dict[str, str] = {}
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            if not self._hub.snapshot.settled:
                continue
            self.unserved = unserved(self.keeper.table().snapshots(), self._hub.snapshot)
            for arm, sentence in self.unserved.items():
                if told.get(arm) != sentence:
                    log.warning("arm %s: %s", arm, sentence)
            for arm in told.keys() - self.unserved.keys():
                log.info("arm %s is served, or gone", arm)
            told = self.unserved

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    def _take(self, worker: str, arms: list[pb.ArmReport]) -> None:
        self._told.put(Told(f"{self._holder}/{worker}", time.time(), arms))

    def _record(self, event: Event) -> None:
        """The store has it already, in the same transaction as what was done."""
        facts = asdict(event)
        facts.pop("at")
        self._audit.event("rollout", **facts)

    def _count(self) -> None:
        hub, keeper, rollouts = self._hub, self.keeper, self.rollouts
        hub.totals.add(
            "penstock_routes_refused",
            "Times that the folder of routes changed into something refused.",
            lambda: keeper.refused,
        )
        hub.totals.add(
            "penstock_routes_unkept",
            "Times that the state folder didn't take the routes in force.",
            lambda: keeper.unkept,
        )
        hub.totals.add(
            "penstock_rollout_failures",
            "Looks at rollouts that failed; what was in force stayed so.",
            lambda: rollouts.failures,
        )
        hub.totals.add(
            "penstock_arm_counts_dropped",
            "Reports about arms that were not recorded, as too many waited.",
            lambda: self._told.dropped,
        )
        hub.show(
            "penstock_routes_stale",
            "1 while the folder of routes holds something else than what is in force.",
            lambda: bool(keeper.problem),
        )
        hub.show(
            "penstock_routes_applied_timestamp_seconds",
            "When the routes in force were applied.",
            lambda: keeper.applied_at,
        )
        hub.show(
            "penstock_routes_workers_behind",
            "Workers that don't yet apply the routes in force.",
            lambda: sum(each != keeper.revision for each in hub.applied.values()),
        )
        register_failing(hub.supervisor, self._audit)
        hub.show(
            "penstock_arms_unserved",
            "Arms and mirrors of routes whose model version no backend serves.",
            lambda: len(self.unserved),
        )
        hub.show(
            "penstock_rollouts_led",
            "1 in the replica that leads rollouts.",
            lambda: rollouts.leads,
        )
        register(hub.totals, lambda: keeper.table().snapshots(), rollouts)
        keeper.on_revision = hub.info(
            "penstock_routes_info", "The hash of the routes in force.", "revision"
        )
