"""What an experiment is, and what it is given: a place, a clock, and a book for what it finds."""

import asyncio
import importlib
import pkgutil
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chaos.experiments
from chaos.history import History
from chaos.invariants import nobody_ended
from chaos.load import Caller, Load
from chaos.probe import Need, missing
from chaos.site import Site
from chaos.timed import Timed
from chaos.verdict import Figure, State, Step, Verdict


@dataclass(frozen=True, slots=True)
class Experiment:
    """A question about a promise (docs/promises.md), and how it is asked.

    Every module of `chaos.experiments` has one as `EXPERIMENT`. `short` ones also run with the
    tests. `inside` ones run within a network namespace of their own.
    """

    name: str
    promise: int
    question: str
    run: Callable[["Bench"], Awaitable[None]]
    short: bool = False
    needs: tuple[Need, ...] = ()

    @property
    def inside(self) -> bool:
        return Need.NAMESPACE in self.needs


@dataclass(slots=True)
class Bench:
    """Where one experiment works. `short` ones take less time and prove less about time."""

    folder: Path
    short: bool = False
    seed: int = 1
    began: float = field(default_factory=time.monotonic)
    verdicts: list[Verdict] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    histories: dict[str, History] = field(default_factory=dict)
    sites: list[Site] = field(default_factory=list)
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def now(self) -> float:
        """Seconds since the experiment began."""
        return time.monotonic() - self.began

    async def wait(self, seconds: float, short: float | None = None) -> None:
        """Lets things go on; `short` is for short runs, a third unless said."""
        await asyncio.sleep((seconds / 3 if short is None else short) if self.short else seconds)

    def timed(
        self,
        row: float = 0.006,
        rows: int = 4,
        name: str = "timed",
        parts: int = 0,
        batch: float = 0.0,
    ) -> Timed:
        """A repository of a device that takes `batch` seconds, and `row` for each of its rows."""
        return Timed(self.folder / f"models-{name}", row, rows, name, parts, batch)

    def site(self, model: Timed, **settings: Any) -> Site:
        """See Site."""
        site = Site(self.folder / "site", model, **settings)
        self.sites.append(site)
        return site

    def load(self, site: Site, *callers: Caller, name: str = "requests", **settings: Any) -> Load:
        """Callers of all gateways of the site, whose history is kept with the report."""
        settings.setdefault("targets", site.targets)
        load = Load(callers=callers, now=self.now, rng=self.rng, **settings)
        self.histories[name] = load.history
        return load

    @contextmanager
    def fault(self, what: str) -> Iterator[None]:
        """Notes what is broken, from here to the end of the block."""
        begun = self.now()
        try:
            yield
        finally:
            self.steps.append(Step(what, begun, self.now()))

    def step(self, what: str) -> float:
        """Notes what happened at once; when."""
        at = self.now()
        self.steps.append(Step(what, at))
        return at

    def hold(self, *verdicts: Verdict) -> None:
        self.verdicts.extend(verdicts)

    def figure(self, what: str, value: str) -> None:
        self.figures.append(Figure(what, value))


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one experiment. `why` says what was missing, or how it ended before its end."""

    name: str
    promise: int
    question: str
    state: State
    seconds: float
    why: str = ""
    verdicts: tuple[Verdict, ...] = ()
    figures: tuple[Figure, ...] = ()
    steps: tuple[Step, ...] = ()


def experiments() -> list[Experiment]:
    """All that there are, by promise and name."""
    names = [each.name for each in pkgutil.iter_modules(chaos.experiments.__path__)]
    found = [importlib.import_module(f"chaos.experiments.{name}").EXPERIMENT for name in names]
    return sorted(found, key=lambda each: (each.promise, each.name))


async def perform(experiment: Experiment, bench: Bench) -> Result:
    """Runs it here, in this process and its network.

    Histories are left in the bench's folder however it ends: the broken ones are those to read.
    """
    lacking = missing(experiment.needs)
    if lacking:
        return _result(experiment, bench, "not run", f"needs {', '.join(lacking)}")
    try:
        await experiment.run(bench)
    except Exception as error:
        return _result(experiment, bench, "broken", f"{type(error).__name__}: {error}")
    finally:
        for name, history in bench.histories.items():
            history.write(bench.folder / f"{name}.jsonl")
    if bench.sites:
        bench.hold(nobody_ended([name for site in bench.sites for name in site.crashed]))
    kept = bool(bench.verdicts) and all(each.holds for each in bench.verdicts)
    return _result(experiment, bench, "kept" if kept else "broken")


def _result(experiment: Experiment, bench: Bench, state: State, why: str = "") -> Result:
    return Result(
        experiment.name,
        experiment.promise,
        experiment.question,
        state,
        bench.now(),
        why,
        tuple(bench.verdicts),
        tuple(bench.figures),
        tuple(bench.steps),
    )
