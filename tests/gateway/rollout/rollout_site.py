"""One store with routes, a clock, and any number of controllers over it."""

import asyncio
from collections.abc import Mapping

from gateway.rollout.controller import Rollouts
from gateway.store.engine import Store
from protos.route.document import Route
from routing.rollout.evidence import Evidence
from routing.rollout.state import RolloutState
from routing.rules.effect import Effect

START = 1_700_000_000.0


class Site:
    """`store` is real; time passes when a replica looks."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = START
        self.routes: dict[str, Route] = {}

    def replica(self, name: str = "a", store: object = None) -> "Replica":
        return Replica(self, name, self.store if store is None else store)

    def serve(self, evidence: Evidence, name: str = "fraud") -> None:
        """So many more requests, as replicas report them."""
        state = self.state(name)
        counts = {"canary": evidence.candidate, "stable": evidence.baseline}
        self.store.arms.add("a", self.now, name, state.id, counts)

    def state(self, name: str = "fraud") -> RolloutState:
        state = self.store.rollouts.get(name)
        assert state is not None
        return state

    def audit(self, name: str = "fraud") -> list[str]:
        return [event.action for event in self.store.audit.read(route=name)]


class Replica:
    """A controller that looks when it is told to; it may be put in place of another at any time."""

    def __init__(self, site: Site, name: str, store: object) -> None:
        self.site = site
        self.published: list[Mapping[str, Effect]] = []
        self.told = asyncio.Event()
        self.rollouts = Rollouts(
            lambda: store,  # type: ignore[arg-type, return-value]
            lambda: site.routes,
            self._publish,
            holder=name,
            clock=lambda: site.now,
        )

    def _publish(self, effects: Mapping[str, Effect]) -> None:
        self.published.append(effects)
        self.told.set()

    async def look(self, seconds: float = 1.0) -> None:
        self.site.now += seconds
        await self.rollouts.look()

    @property
    def weight(self) -> float:
        return self.published[-1]["fraud"].weight
