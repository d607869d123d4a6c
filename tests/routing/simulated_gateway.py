"""One of a mesh's gateways: its routes, what it counts, and the real controller of rollouts."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from gateway.arms import ArmBook, Told, write
from gateway.rollout.controller import Rollouts
from routing.rules.effect import Effect
from routing.rules.table import RouteTable
from routing.shadow.record import PairRecord
from tests.routing import simulated_faults as faults
from tests.routing.simulated_history import Published
from tests.routing.simulated_routes import NAME
from tests.routing.simulated_store import SimulatedStore

if TYPE_CHECKING:
    from tests.routing.simulated_mesh import Mesh

START = 1_700_000_000.0  # Unix time when a simulation begins


class Gateway:
    """It may crash and come back as another process; its wall clock may be wrong by `offset`."""

    def __init__(self, mesh: "Mesh", name: str) -> None:
        self.mesh = mesh
        self.name = name
        self.offset = 0.0
        self.lives = 0
        self.start()

    def start(self) -> None:
        """Another process, which knows nothing but the document."""
        self.lives += 1
        self.holder = f"{self.name}/{self.lives}"
        self.up = True
        self.effects: Mapping[str, Effect] = {}
        self.book = ArmBook()
        self.pairs: list[PairRecord] = []
        self.untold: list[Told] = []
        store = SimulatedStore(
            self.mesh.rows,
            self.mesh.loop.time,
            lambda moment: faults.meanwhile(self.mesh, self, moment),
        )
        self.store = store
        self.rollouts = Rollouts(
            lambda: store,
            lambda: {NAME: self.mesh.document.route},
            self._publish,
            holder=self.holder,
            clock=self.wall,
        )
        self.load()
        create = self.mesh.loop.create_task
        self._tasks = [create(self.live()), create(self.tell())]

    def rest(self) -> None:
        """Goes on with what is in force."""
        self._note_problem()
        for task in self._tasks:
            task.cancel()

    def crash(self) -> None:
        """Its process is gone, with what it had counted and not told."""
        if self.up:
            self.up = False
            self.rest()
            self.mesh.history.crashes += 1
            self.mesh.loop.call_later(self.mesh.rng.uniform(0.2, 3.0), self.start)

    def wall(self) -> float:
        return START + self.mesh.loop.time() + self.offset

    def load(self) -> None:
        """Takes the document in force and what rollouts have made of it."""
        self.table = RouteTable((self.mesh.document,), self.effects)

    def _publish(self, effects: Mapping[str, Effect]) -> None:
        self.effects = effects
        now = self.mesh.loop.time()
        for each in effects.values():
            self.mesh.history.published.append(Published(now, each.rollout, each.weight))
        self.load()

    async def live(self) -> None:
        """The controller's life, until the process crashes."""
        await asyncio.sleep(self.mesh.rng.random())
        try:
            await self.rollouts.run()
        except faults.Crashed:
            self.crash()

    async def tell(self) -> None:
        """Once a second, what was counted; until the store has it."""
        await asyncio.sleep(self.mesh.rng.random())
        while True:
            await asyncio.sleep(1.0)
            self._note_problem()
            if counted := self.book.take():
                self.untold.append(Told(self.holder, self.wall(), counted))
            try:
                write(self.store, self.untold)
                self.untold = []
                if self.pairs:
                    self.store.pairs.append(self.pairs)
                    self.pairs = []
            except OperationalError:
                continue
            except faults.Crashed:
                self.crash()

    def _note_problem(self) -> None:
        """The controller goes on whatever happens; but only the store may have given it trouble."""
        problems = self.mesh.history.problems
        if self.rollouts.problem not in ("", "OperationalError"):
            problems.append(self.rollouts.problem)
        for task in self._tasks:
            if task.done() and not task.cancelled() and (mistake := task.exception()) is not None:
                problems.append(repr(mistake))
