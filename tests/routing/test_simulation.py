"""Hundreds of simulated meshes under faults: what always holds, whatever befalls them.

A failure names its seed; `simulate(seed)` repeats that life exactly.
"""

import asyncio
import logging
from collections import Counter
from itertools import pairwise

import pytest

from protos.errors import TABLE, Kind
from routing.outlier import AT_MOST
from routing.retry import MAX_ATTEMPTS, REQUEUE_RESERVE, RESERVE
from tests.routing import rollout_invariants
from tests.routing.simulated_faults import paused, resumed, slowed, store_down
from tests.routing.simulated_history import History
from tests.routing.simulated_mesh import END, HEALED, simulate

SEEDS = 400
CHUNK = 200
REFILL = 2.0  # retries a second, of each budget
# Retries that are not a share of the requests: reserves of the route's budget, of the shared one,
# and of the one for requeued calls.
RESERVES = 2 * RESERVE + REQUEUE_RESERVE + 3 * REFILL * END

# What befalls some mesh of each chunk.
SOMETHING = (
    *("requests", "retries", "hedges", "ejections", "panics", "refusals", "fallbacks"),
    *("lost", "deaths", "crashes", "deposed", "overtaken"),
    *("begin", "step", "wait", "hold", "pause", "resume"),
    *("complete", "rollback", "abort", "supersede", "end mirror"),
)


def by_request(history: History):
    attempts = {}
    for attempt in history.attempts:
        attempts.setdefault(attempt.request, []).append(attempt)
    return attempts


def requeued_and_answered(history: History) -> int:
    """Attempts after a refusal that were answered: these are free."""
    return sum(
        later.outcome is None
        and earlier.outcome is not None
        and TABLE[earlier.outcome].retry == "elsewhere"
        for attempts in by_request(history).values()
        for earlier, later in pairwise(attempts)
    )


def no_request_goes_to_an_endpoint_that_left(history: History) -> bool:
    return all(attempt.present for attempt in history.attempts)


def nobody_is_tried_more_than_three_times(history: History) -> bool:
    """At one version: who was refused as poison and asks again may be sent to the other arm."""
    tried = Counter((a.request, a.version) for a in history.attempts)
    return all(count <= MAX_ATTEMPTS for count in tried.values())


def attempts_stay_near_the_requests(history: History) -> bool:
    free = history.lost + requeued_and_answered(history)
    return len(history.attempts) <= 1.2 * len(history.asked) + RESERVES + free


def what_may_not_run_twice_does_not(history: History) -> bool:
    runs = Counter(a.request for a in history.attempts if a.executed)
    return all(runs[each.id] <= 1 for each in history.asked.values() if not each.idempotent)


def somebody_is_tried_if_anybody_can_be(history: History) -> bool:
    """Unless the request was refused: for the arm's bound, or as one that kills its backends."""
    tried = {attempt.request for attempt in history.attempts}
    return all(
        each.id in tried or each.outcome is Kind.OVERLOADED or each.refused_as_poison
        for each in history.asked.values()
        if each.possible
    )


def at_most_half_are_ejected(history: History) -> bool:
    return all(out <= AT_MOST * of for out, of in history.ejected)


def stale_epochs_are_refused(history: History) -> bool:
    ascending = all(epochs == sorted(epochs) for epochs in history.epochs.values())
    return ascending and not history.stale_accepted


def poison_takes_at_most_two_backends_with_it(history: History) -> bool:
    return all(deaths <= 2 for deaths in history.deaths.values())


def only_poison_is_refused_as_poison(history: History) -> bool:
    """Where nothing else kills backends, that is: an innocent may be there twice by chance."""
    if len(history.deaths) > 1 or any(
        fault in ("killed", "reset", "drained") for _, fault, _ in history.faults
    ):
        return True
    return all(each.poison for each in history.asked.values() if each.refused_as_poison)


def everything_is_usable_after_healing(history: History) -> bool:
    return not history.out_of_service


INVARIANTS = (
    no_request_goes_to_an_endpoint_that_left,
    nobody_is_tried_more_than_three_times,
    attempts_stay_near_the_requests,
    what_may_not_run_twice_does_not,
    somebody_is_tried_if_anybody_can_be,
    at_most_half_are_ejected,
    stale_epochs_are_refused,
    poison_takes_at_most_two_backends_with_it,
    only_poison_is_refused_as_poison,
    everything_is_usable_after_healing,
    *rollout_invariants.INVARIANTS,
)


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture):
    """Nobody reads what controllers say of a store that is down in hundreds of meshes."""
    caplog.set_level(logging.CRITICAL, "gateway.rollout.controller")


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_what_always_holds(first):
    happened = Counter()
    for seed in range(first, first + CHUNK):
        history = simulate(seed)
        broken = [each.__name__ for each in INVARIANTS if not each(history)]
        found = history.out_of_service + history.unsettled + history.problems
        assert not broken, f"seed {seed}: {broken}; {history.plan}; {history.faults}; {found}"
        happened.update(history.counters)
        happened.update(event.action for each in history.written for event in each.events)
        happened["lost"] += history.lost
        happened["deaths"] += sum(history.deaths.values())
        happened["requests"] += len(history.asked)
        happened["crashes"] += history.crashes
    # A simulation in which nothing happens would prove nothing.
    missing = [what for what in SOMETHING if not happened[what]]
    assert not missing, f"no {missing} in seeds {first} to {first + CHUNK - 1}"


@pytest.mark.parametrize(
    "kind",
    [Kind.UNAVAILABLE, Kind.BAD_REPLY, Kind.INTERRUPTED, Kind.OVERLOADED],
    ids=str,
)
def test_when_every_backend_fails_requests_are_hardly_multiplied(kind):
    async def all_fail(mesh):
        for backend in mesh.backends.values():
            backend.failing = (1.0, kind)

    history = simulate(1, all_fail, backends=4, rate=60.0)
    during = [each for each in history.asked.values() if each.at < HEALED]
    attempts = sum(attempt.at < HEALED for attempt in history.attempts)
    assert len(during) > 700
    assert attempts <= 1.2 * len(during) + RESERVE + REQUEUE_RESERVE + 2 * REFILL * HEALED


@pytest.mark.parametrize("backends", [2, 3, 6])
@pytest.mark.parametrize("seed", range(3))
def test_a_backend_slowed_by_half_a_second_gets_next_to_nothing_after_five(seed, backends):
    async def one_is_slowed(mesh):
        await asyncio.sleep(1.0)
        slowed(mesh, mesh.backends["b0"])

    history = simulate(seed, one_is_slowed, backends=backends, rate=14.0)
    # Second attempts aside: these go to another endpoint than the first, whichever is left.
    later = [a for a in history.attempts if 6.0 < a.at < HEALED and a.number == 1]
    share = sum(attempt.instance == "b0" for attempt in later) / len(later)
    assert share <= 0.05


async def nothing(mesh):
    """Befalls it."""


async def canary_begins_to_fail(mesh):
    await asyncio.sleep(mesh.rng.uniform(1.0, 4.0))
    mesh.spoil("failing")


async def canary_begins_to_fail_amid_trouble(mesh):
    mesh.turbulent = True
    others = (paused, resumed, resumed, store_down)
    await asyncio.gather(canary_begins_to_fail(mesh), mesh.befall_gateways(others))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("fate", "status"), [(nothing, "progressing"), (canary_begins_to_fail, "rolled_back")]
)
def test_only_a_canary_that_fails_more_often_is_rolled_back(fate, status, seed):
    history = simulate(seed, fate, backends=3, rate=40.0, plan="half")
    assert history.written[-1].state.status == status
    assert all(each(history) for each in INVARIANTS)


def test_a_failing_canary_is_rolled_back_though_gateways_crash_and_people_interfere():
    ended = Counter()
    for seed in range(16):
        trouble = canary_begins_to_fail_amid_trouble
        history = simulate(seed, trouble, backends=3, rate=30.0, plan="half")
        state = history.written[-1].state
        assert state.weight == 0.0, f"seed {seed}: {state}; {history.faults}"
        assert all(each(history) for each in INVARIANTS), f"seed {seed}"
        ended[state.status] += 1
    assert ended["rolled_back"] > 12


def test_a_seed_decides_everything():
    assert simulate(7) == simulate(7)
    assert simulate(7) != simulate(8)
