"""A soak: the mix, restarts of backends, routes that change, a look at each process each second."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from chaos.faults import process
from chaos.mesh import Mesh
from chaos.processes import Process
from chaos.soak import ground
from chaos.soak.answers import answers
from chaos.soak.flat import SEEN, flat
from chaos.soak.samples import Holding, Reading, Sample, Told, holding, workers
from chaos.soak.traffic import Traffic
from chaos.verdict import Step, Verdict

BACKENDS = 3  # the first is never restarted: what it holds is held against it
RESTART, RELOAD = 60.0, 20.0  # seconds
WRONG_EACH = 5  # of so many changes of a route, one is no route
WRONG = "apiVersion: penstock/v1\nkind: Route\nmetadata: {name: timed}\nspec: {match: 7}\n"
LOOK = 1.0  # seconds
BACKEND = "backend b0"
STEADY = ("supervisor", *(f"worker {n}" for n in range(ground.WORKERS)), BACKEND)
KILL, UNTOLD = "kill -9", "no metrics"


@dataclass(frozen=True, slots=True)
class Soak:
    """What was seen. Statuses are counted by kind of request and status."""

    samples: list[Sample]
    statuses: Counter[tuple[str, str]]
    steps: list[Step]

    def verdicts(self) -> list[Verdict]:
        kills = sum(each.what.startswith(KILL) for each in self.steps)
        looked = [flat(self.samples, name, loops=name != BACKEND) for name in STEADY]
        return [
            *answers(self.statuses, kills),
            self._told(),
            *(each for some in looked for each in some),
        ]

    def _told(self) -> Verdict:
        missed = sum(each.what.startswith(UNTOLD) for each in self.steps)
        looks = missed + len(self.samples)
        holds, told = 0 < looks * SEEN <= len(self.samples), f"{missed} of {looks} times not"
        return Verdict(holds, "the gateway tells of itself", told, f"{SEEN:.0%}")


async def soak(
    folder: Path, seconds: float, rate: float, seed: int, say: Callable[[Sample], None]
) -> Soak:
    """`say` gets each sample when it is taken. Everything that it started is ended."""
    rng, found, steps, began = random.Random(seed), list[Sample](), list[Step](), time.monotonic()
    models = ground.repository(folder)
    mesh = await asyncio.to_thread(ground.gateway, folder)
    try:
        backends = [mesh.start_backend(f"b{n}", models) for n in range(BACKENDS)]
        await asyncio.to_thread(ground.wait_ready, mesh, BACKENDS)
        async with Traffic(mesh, rate, rng) as traffic:
            began = time.monotonic()

            def note(what: str) -> None:
                steps.append(Step(what, time.monotonic() - began))

            def look() -> None:
                try:
                    page = mesh.metrics()
                except httpx.HTTPError as error:
                    note(f"{UNTOLD}: {type(error).__name__}")
                    return
                sample = _sample(mesh, backends[0], told.read(page), time.monotonic() - began)
                found.append(sample)
                say(sample)

            told = Told()
            jobs = (
                _restart(mesh, models, backends, note),
                _reload(mesh, note),
                _every(LOOK, lambda: asyncio.to_thread(look)),
            )
            try:
                async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                    for job in jobs:
                        group.create_task(_run(job))
            except TimeoutError:
                note("the end")
    finally:
        await asyncio.to_thread(mesh.__exit__, None, None, None)
    return Soak(found, traffic.statuses, steps)


async def _run(job: Awaitable[None]) -> None:
    await job


async def _every(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due = max(due + seconds, loop.time())
        await asyncio.sleep(due - loop.time())
        await act()


async def _restart(
    mesh: Mesh, models: Path, backends: list[Process], note: Callable[[str], None]
) -> None:
    """Each of the others in turn, once by SIGTERM and once by SIGKILL."""
    turn = 0

    async def act() -> None:
        nonlocal turn
        number, gently = 1 + turn % (BACKENDS - 1), turn // (BACKENDS - 1) % 2 == 0
        turn += 1
        note(f"{'SIGTERM' if gently else KILL} b{number}")
        if gently:
            await process.finish(backends[number])
        else:
            process.kill(backends[number])
        backends[number] = mesh.start_backend(f"b{number}", models)
        await asyncio.to_thread(ground.wait_ready, mesh, BACKENDS)

    await _every(RESTART, act)


async def _reload(mesh: Mesh, note: Callable[[str], None]) -> None:
    turn = 0

    async def act() -> None:
        nonlocal turn
        turn += 1
        text = WRONG if turn % WRONG_EACH == 0 else ground.timed_route(50 + turn % 50)
        note("a route that is none" if text == WRONG else "another route")
        mesh.write_route(ground.EVERY_ROUTE, text)

    await _every(RELOAD, act)


def _sample(mesh: Mesh, backend: Process, told: Reading, at: float) -> Sample:
    tasks, lags, queues = told
    pids = {
        "supervisor": mesh.gateway.pid,
        **workers(mesh.gateway.pid),
        BACKEND: backend.pid,
    }
    held = {name: holding(pid) for name, pid in pids.items()}
    return Sample(
        at, {name: _with(each, name, tasks, lags) for name, each in held.items() if each}, queues
    )


def _with(held: Holding, name: str, tasks: dict[str, float], lags: dict[str, float]) -> Holding:
    nothing = float("nan")
    return replace(held, tasks=tasks.get(name, nothing), lag=lags.get(name, nothing))
