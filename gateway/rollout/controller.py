"""Leads rollouts: looks once a second, decides, writes, and tells what is in force.

Every replica runs one. The one that holds the lead in the store decides; its writes carry the
lead's epoch and the version that they were made from, so that a leader that was deposed, or that
a person overtook, changes nothing. What is in force is always read from the store, by leader and
others alike, so a change takes effect after it was written with its audit record, and never
before.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from gateway.rollout.evidence import read_evidence, read_pairs
from gateway.rollout.status import described
from gateway.store.engine import Store
from gateway.store.failure import StoreError
from gateway.store.leader import Fence
from protos.errors import Kind, PenstockError, invalid
from protos.route.document import Route
from routing.evidence.judge import Finding
from routing.rollout import command
from routing.rollout.advance import advance
from routing.rollout.begin import begin_over
from routing.rollout.effect import effect
from routing.rollout.event import Event
from routing.rollout.evidence import findings
from routing.rollout.identity import parts, rollout_id
from routing.rollout.state import TERMINAL, RolloutState
from routing.rules.effect import Effect

log = logging.getLogger(__name__)

LOOK_INTERVAL = 1.0  # seconds
LEAD = "rollouts"
LEAD_SECONDS = 5.0  # after which another may lead
HISTORY = 100  # events that a status shows
_TRIES = 10  # of a command that others overtake

Routes = Mapping[str, Route]
Make = Callable[[Store, RolloutState, float], tuple[RolloutState, Event]]


class Rollouts:
    """`routes` gives the documents in force by name, `publish` takes every new set of effects.

    `store` gives the opened store and may raise; it is called from threads, the others from the
    event loop. `holder` names this process and no other, nor an earlier one of this machine. While
    the store doesn't answer the last effects stay in force; `failures` counts the looks that this
    cost, `problem` says why the last one failed. `on_event` is told, from threads, what the store
    has taken.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        routes: Callable[[], Routes],
        publish: Callable[[Mapping[str, Effect]], None],
        *,
        holder: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._routes = routes
        self._publish = publish
        self._holder = holder
        self._clock = clock
        self._effects: Mapping[str, Effect] = {}
        self._woken = asyncio.Event()
        self.on_event: Callable[[Event], None] = lambda event: None
        self.leads = False
        self.failures = 0
        self.problem = ""
        # Of rollouts in force, by route: the state, and in the replica that leads what each metric
        # of the analysis says.
        self.states: Mapping[str, RolloutState] = {}
        self.findings: dict[str, tuple[Finding, ...]] = {}

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            await self.look()
            try:
                async with asyncio.timeout(LOOK_INTERVAL):
                    await self._woken.wait()
            except TimeoutError:
                continue
            self._woken.clear()

    async def look(self) -> None:
        """One look; whatever goes wrong leaves what is in force as it is."""
        try:
            effects, failure = await asyncio.to_thread(self._look, self._routes())
            if effects != self._effects:
                self._publish(effects)
                self._effects = effects
        except Exception as error:
            failure = error
        self._note(failure)

    async def status(self) -> dict[str, Any]:
        """All rollouts with their findings and history, for the admin face; see `described`.

        Raises UNAVAILABLE when the store doesn't answer.
        """
        return await asyncio.to_thread(_translated, self.read_status)

    def read_status(self) -> dict[str, Any]:
        """The same for threads. Raises SQLAlchemyError when the store doesn't answer."""
        routes, store = self._routes(), self._store()
        states = sorted(store.rollouts.all(), key=lambda state: state.route)
        return {
            "leads": self.leads,
            "problem": self.problem,
            "rollouts": [
                self._described(store, state, routes.get(state.route)) for state in states
            ],
        }

    async def pause(self, route: str, actor: str) -> dict[str, Any]:
        """Raises NOT_FOUND, INVALID as `command.pause` does, UNAVAILABLE without a store."""
        return await self._command(route, lambda _, state, now: command.pause(state, now, actor))

    async def resume(self, route: str, actor: str) -> dict[str, Any]:
        """Raises as `pause` does, and INVALID when the route now asks for another rollout."""
        document = self._routes().get(route)

        def make(store: Store, state: RolloutState, now: float) -> tuple[RolloutState, Event]:
            if document is None or not _in_force(state, document):
                raise invalid(
                    f"route {route} no longer asks for the rollout that stopped; if it asks for"
                    " another, that begins within seconds"
                )
            rollout, _, _ = parts(document)
            return command.resume(state, rollout, read_pairs(store, state).compared, now, actor)

        return await self._command(route, make)

    async def abort(self, route: str, actor: str) -> dict[str, Any]:
        """Raises as `pause` does."""
        return await self._command(route, lambda _, state, now: command.abort(state, now, actor))

    async def _command(self, route: str, make: Make) -> dict[str, Any]:
        document = self._routes().get(route)
        answer = await asyncio.to_thread(_translated, lambda: self._change(route, make, document))
        self._woken.set()
        return answer

    def _look(self, routes: Routes) -> tuple[dict[str, Effect], Exception | None]:
        wanted = {name: route for name, route in routes.items() if route.spec.rollout is not None}
        if not wanted:
            self.leads = False
            self.states, self.findings = {}, {}
            return {}, None
        store, now = self._store(), self._clock()
        states = {state.route: state for state in store.rollouts.all()}
        failure: Exception | None = None
        under_way = [name for name, route in wanted.items() if not _over(states.get(name), route)]
        fence = None
        if under_way:
            fence = store.leader.hold(LEAD, self._holder, now, LEAD_SECONDS)
        self.leads = fence is not None
        if fence is not None:
            for name in under_way:
                try:
                    state = self._lead(store, wanted[name], states.get(name), fence, now)
                except Exception as error:  # one route's trouble is not the others'
                    failure = error
                    continue
                if state is not None:
                    states[name] = state
        self.states = {
            name: states[name]
            for name, route in wanted.items()
            if name in states and _in_force(states[name], route)
        }
        self.findings = {
            name: found
            for name, found in self.findings.items()
            if name in self.states and self.leads and self.states[name].status not in TERMINAL
        }
        in_force = {name: effect(state, wanted[name]) for name, state in self.states.items()}
        return in_force, failure

    def _lead(
        self, store: Store, route: Route, state: RolloutState | None, fence: Fence, now: float
    ) -> RolloutState | None:
        """What is in the store after the look: ours, or what overtook it."""
        if state is None or not _in_force(state, route):
            changed, events = begin_over(state, route, now)
        else:
            rollout, _, _ = parts(route)
            evidence = read_evidence(store, state)
            self.findings[route.metadata.name] = findings(rollout, evidence)
            changed, events = advance(state, rollout, evidence, now)
        if not events:
            return state
        version = None if state is None else state.version
        if not store.rollouts.write(changed, expected_version=version, fence=fence, events=events):
            return store.rollouts.get(route.metadata.name)
        for event in events:
            log.info("rollout of %s: %s, %s", event.route, event.action, event.reason)
            self.on_event(event)
        return changed

    def _change(self, route: str, make: Make, document: Route | None) -> dict[str, Any]:
        store = self._store()
        for _ in range(_TRIES):
            state = store.rollouts.get(route)
            if state is None:
                raise PenstockError(Kind.NOT_FOUND, f'route "{route}" has no rollout')
            changed, event = make(store, state, self._clock())
            if store.rollouts.write(
                changed, expected_version=state.version, fence=None, events=[event]
            ):
                log.info("rollout of %s: %s by %s", route, event.action, event.actor)
                self.on_event(event)
                return self._described(store, changed, document)
        raise PenstockError(Kind.UNAVAILABLE, f"the rollout of route {route} keeps changing")

    def _described(self, store: Store, state: RolloutState, route: Route | None) -> dict[str, Any]:
        asked = route if route is not None and _in_force(state, route) else None
        looked = None if state.status in TERMINAL else read_evidence(store, state)
        history = store.audit.read(route=state.route, limit=HISTORY)
        return described(state, asked, looked, history, self._clock())

    def _note(self, failure: Exception | None) -> None:
        if failure is None:
            if self.problem:
                log.info("rollouts are looked at again")
            self.problem = ""
            return
        self.failures += 1
        if not self.problem:
            known = isinstance(failure, StoreError)
            log.error(
                "rollouts can't be looked at, what is in force stays so%s",
                f": {failure}" if known else "",
                exc_info=None if known else failure,
            )
        # The database's own sentences hold statements and addresses; the log has them.
        self.problem = str(failure) if isinstance(failure, StoreError) else type(failure).__name__


def _in_force(state: RolloutState, route: Route) -> bool:
    return route.spec.rollout is not None and state.id == rollout_id(route)


def _over(state: RolloutState | None, route: Route) -> bool:
    return state is not None and state.status in TERMINAL and _in_force(state, route)


def _translated(question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return question()
    except SQLAlchemyError as error:
        raise PenstockError(
            Kind.UNAVAILABLE,
            "the record store doesn't answer; see the status before you try again",
        ) from error
