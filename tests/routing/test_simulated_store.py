"""The store that simulations use answers as the real one does; else they would prove nothing."""

import random
from pathlib import Path

import pytest

from gateway.store.engine import open_store
from gateway.store.leader import Fence
from routing.evidence.counts import ArmCounts
from routing.evidence.histogram import Histogram
from routing.rollout.begin import begin_over
from routing.rollout.command import abort, pause
from routing.shadow.record import Outcome, PairRecord, Side
from tests.routing.rollout.made_routes import CANARY, PAUSE, route
from tests.routing.simulated_store import Rows, SimulatedStore

ROUTES = ("fraud", "spam")
HOLDERS = ("a", "b", "c")


class Both:
    """The same question to both, or a change of both; their answers have to be one."""

    def __init__(self, *stores) -> None:
        self.stores = stores

    def ask(self, part: str, verb: str, *arguments, **options):
        answers = [getattr(getattr(s, part), verb)(*arguments, **options) for s in self.stores]
        first, second = answers
        assert first == second, (part, verb, arguments, options)
        return first


@pytest.mark.parametrize("seed", range(4))
def test_it_answers_as_the_real_one_does(seed: int, tmp_path: Path):
    rng = random.Random(seed)
    real = open_store(f"sqlite:///{tmp_path}/records.db")
    both = Both(real, SimulatedStore(Rows()))
    fences: list[Fence | None] = [None]
    now = 1_700_000_000.0
    for _ in range(60):
        now += rng.choice((0.0, 1.0, 3.0, 3.0, -4.0))
        name = rng.choice(ROUTES)
        match rng.choice(("hold", "hold", "write", "write", "write", "arms", "pairs")):
            case "hold":
                fences.append(both.ask("leader", "hold", "lead", rng.choice(HOLDERS), now, 5.0))
            case "write":
                write(both, rng, name, now, rng.choice(fences))
            case "arms":
                tell(both, rng, name, now)
            case "pairs":
                both.ask("pairs", "append", [pair(rng, name, now) for _ in range(3)])
        since = now - rng.choice((0.0, 2.0, 20.0))
        both.ask("rollouts", "all")
        both.ask("rollouts", "get", name)
        both.ask("audit", "read", route=name, limit=5)
        both.ask("arms", "sum", name, since, rollout=rng.choice(("", "x", "y")))
        both.ask("pairs", "counts", name, since=since, rollout=rng.choice(("", "x")))
    real.close()


def write(both: Both, rng: random.Random, name: str, now: float, fence: Fence | None) -> None:
    """A change, made from the present state or from one that never was."""
    state = both.ask("rollouts", "get", name)
    if state is None or state.status in ("aborted", "paused"):
        changed, events = begin_over(state, route(CANARY, PAUSE, name=name), now)
    else:
        changed, event = rng.choice((abort, pause))(state, now, "ada@risk")
        events = [event]
    version = None if state is None else state.version
    wrong = rng.choice((None, 7, 1))
    expected = rng.choice((version, version, version, wrong))
    both.ask("rollouts", "write", changed, expected_version=expected, fence=fence, events=events)


def tell(both: Both, rng: random.Random, name: str, now: float) -> None:
    """Twice, as after an answer that was lost."""
    counts = {
        arm: ArmCounts(10, 1, Histogram({rng.randrange(5): 9})) for arm in ("stable", "canary")
    }
    replica, rollout = rng.choice(HOLDERS), rng.choice(("x", "y"))
    for _ in range(2):
        both.ask("arms", "add", replica, now, name, rollout, counts)


def pair(rng: random.Random, name: str, now: float) -> PairRecord:
    return PairRecord(
        at=now + rng.random(),
        route=name,
        mirror="canary",
        arm="stable",
        model="fraud",
        version="4",
        primary_version="3",
        tenant="t",
        trace_id="",
        request_id=str(rng.random()),
        kind="tensor",
        status=rng.choice(("compared", "dropped")),
        primary=Side(0.01),
        candidate=Side(0.01),
        outcome=Outcome(rng.random() < 0.5),
        rollout=rng.choice(("x", "y")),
    )
