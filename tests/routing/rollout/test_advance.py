"""The whole machine: steps, harm, evidence that is missing, and simulated rollouts."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from protos.route.rollout import Rollout
from routing.evidence.counts import ArmCounts
from routing.evidence.histogram import Histogram, bucket
from routing.rollout.advance import advance
from routing.rollout.begin import begin
from routing.rollout.evidence import Evidence
from routing.rollout.state import TERMINAL, RolloutState
from tests.routing.rollout.made_routes import (
    ANALYSIS,
    CANARY,
    DISAGREEMENT,
    ERRORS,
    GOOD,
    HARM,
    LATENCY,
    MIRROR,
    NOTHING,
    PAUSE,
    STEPS,
    UNDECIDED,
    arm,
    pairs,
    route,
)

QUARTER = 900.0


class Life:
    """A rollout and its time; `look` at some evidence after some seconds."""

    def __init__(self, *steps: dict, **options: object) -> None:
        document = route(*steps, **options)
        assert document.spec.rollout is not None
        self.rollout: Rollout = document.spec.rollout
        self.now = 1_000.0
        self.state = begin(document, self.now)
        self.actions: list[str] = []
        self.restart = False

    def look(self, evidence: Evidence, seconds: float = 1.0) -> RolloutState:
        self.now += seconds
        before = self.state
        if self.restart:  # nothing but the stored values survives
            before = RolloutState(**{name: getattr(before, name) for name in before.__slots__})
        self.state, events = advance(before, self.rollout, evidence, self.now)
        assert self.state.version == before.version + len(events)
        assert all(event.actor == "controller" for event in events)
        self.actions += [event.action for event in events]
        return self.state


@pytest.mark.parametrize("restart", [False, True], ids=["one life", "restarted before each look"])
def test_a_good_candidate_goes_through_every_step(restart):
    life = Life(*STEPS, {"setWeight": 80}, metrics=(ERRORS, DISAGREEMENT))
    life.restart = restart
    assert life.look(Evidence(pairs=pairs(1_999))).mirror_percent == 20.0
    assert life.look(Evidence(pairs=pairs(2_000))).weight == 5.0
    assert life.look(GOOD).step == 2
    assert life.state.mirror_percent == 0.0  # enough was compared, and the canary shows it
    assert life.look(GOOD, QUARTER - 1).step == 2
    assert life.look(GOOD, 1.0).weight == 50.0
    assert (life.look(GOOD).status, life.state.step) == ("waiting", 4)
    assert life.look(GOOD, 1e6).status == "waiting"
    assert life.actions == ["step", "end mirror", "step", "step", "step", "wait"]


def test_after_the_last_step_it_is_complete():
    life = Life(CANARY, ANALYSIS)
    life.look(NOTHING)
    state = life.look(GOOD, QUARTER)
    assert (state.status, state.weight) == ("completed", 100.0)
    assert life.look(HARM).status == "completed"


STOPS: dict[str, tuple[tuple[dict, ...], dict]] = {
    "analysis": ((CANARY, ANALYSIS), {"step": 1}),
    "pause": ((CANARY, PAUSE), {"step": 1, "status": "waiting"}),
    "timed pause": ((CANARY, {"pause": {"for": "1s"}}), {"step": 1}),
    "paused by a person": ((CANARY, ANALYSIS), {"step": 1, "status": "paused"}),
    "held": ((CANARY, ANALYSIS), {"step": 1, "status": "held"}),
    "weight": ((CANARY, ANALYSIS), {"step": 0}),
}


@pytest.mark.parametrize(("steps", "where"), STOPS.values(), ids=STOPS)
def test_harm_rolls_back_at_once_wherever_the_candidate_has_traffic(steps, where):
    life = Life(*steps)
    life.state = replace(life.state, **where)
    state = life.look(HARM)
    assert (state.status, state.weight) == ("rolled_back", 0.0)
    assert "errors are 3.00% of the candidate's 2,000 requests" in state.reason
    assert life.actions == ["rollback"]


@pytest.mark.parametrize(("steps", "where"), STOPS.values(), ids=STOPS)
def test_harm_can_hold_instead_and_then_only_a_person_goes_on(steps, where):
    life = Life(*steps, onFail="hold")
    life.state = replace(life.state, **where)
    state = life.look(HARM)
    assert (state.status, state.harm, state.weight) == ("held", True, 5.0)
    assert life.look(HARM).version == life.look(GOOD, 1e6).version == state.version


def test_answers_that_differ_are_harm_before_any_traffic():
    life = Life(MIRROR, CANARY, metrics=(DISAGREEMENT,))
    state = life.look(Evidence(pairs=pairs(800, differ=80, noise=8)))
    assert (state.status, state.mirror_percent, state.step) == ("rolled_back", 0.0, 0)


def test_without_traffic_it_is_held_and_never_passed():
    for what in ("hold", "proceed"):
        life = Life(CANARY, ANALYSIS, onInconclusive=what)
        for _ in range(50):
            state = life.look(NOTHING, QUARTER)
        assert (state.status, state.step, state.weight) == ("held", 1, 5.0)
        assert life.actions == ["step", "hold"]


def test_a_canary_without_a_baseline_beside_it_is_held_too():
    life = Life(CANARY, ANALYSIS, onInconclusive="proceed")
    life.look(NOTHING)
    assert life.look(Evidence(candidate=arm(100_000)), QUARTER).status == "held"


def test_what_is_held_goes_on_by_itself_once_the_evidence_passes():
    life = Life(CANARY, ANALYSIS, PAUSE)
    life.look(NOTHING)
    assert life.look(UNDECIDED, QUARTER).status == "held"
    assert life.look(UNDECIDED).status == "held"
    assert (life.look(GOOD).status, life.state.step) == ("waiting", 2)
    assert life.actions == ["step", "hold", "step", "wait"]


@pytest.mark.parametrize(
    ("what", "status"), [("hold", "held"), ("rollback", "rolled_back"), ("proceed", "completed")]
)
def test_an_inconclusive_analysis_does_what_the_route_says(what, status):
    life = Life(CANARY, ANALYSIS, onInconclusive=what)
    life.look(NOTHING)
    assert life.look(UNDECIDED, QUARTER).status == status


@pytest.mark.parametrize(
    ("what", "status"), [("hold", "held"), ("rollback", "rolled_back"), ("proceed", "progressing")]
)
def test_a_mirror_that_runs_out_of_time_does_what_the_route_says(what, status):
    life = Life(MIRROR, CANARY, ANALYSIS, onInconclusive=what)
    assert life.look(Evidence(pairs=pairs(100)), 3_600.0).status == status


def test_a_mirror_goes_on_past_its_step_until_disagreement_is_decided():
    life = Life(MIRROR, CANARY, ANALYSIS, metrics=(DISAGREEMENT,))
    assert life.look(Evidence(pairs=pairs(2_000, differ=16, noise=10))).weight == 5.0
    life.look(Evidence(pairs=pairs(2_100, differ=17, noise=10)))
    assert (life.state.step, life.state.mirror_percent) == (2, 20.0)
    life.look(GOOD)
    assert (life.state.step, life.state.mirror_percent) == (2, 0.0)


def test_what_was_seen_at_one_weight_decides_nothing_at_the_next():
    now = {"analysis": {"for": "0s"}}
    life = Life(CANARY, now, {"setWeight": 50}, now)
    assert life.look(GOOD).weight == 50.0
    assert life.state.status == "progressing"
    assert life.state.weight_since == life.now
    assert life.look(NOTHING).status == "held"


def test_a_timed_pause_ends_by_itself():
    life = Life(CANARY, {"pause": {"for": "1m"}}, {"setWeight": 50}, PAUSE)
    assert life.look(NOTHING).status == "waiting"
    assert life.look(NOTHING, 58.0).status == "waiting"
    assert life.look(NOTHING, 1.0).weight == 5.0
    assert life.look(NOTHING, 1.0).weight == 50.0


def test_a_clock_that_is_put_back_makes_a_step_longer_and_no_more():
    life = Life(CANARY, ANALYSIS)
    life.look(NOTHING)
    assert life.look(GOOD, -1_500.0).status == "progressing"
    assert life.look(GOOD, 1_500.0).status == "progressing"
    assert life.look(GOOD, QUARTER).status == "completed"


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_is_over_is_not_looked_at(status):
    life = Life(CANARY, ANALYSIS)
    over = replace(life.state, status=status)
    assert advance(over, life.rollout, HARM, 1e9) == (over, [])


# Simulations: the design's rollout at 5 %, looked at after every 100 requests of the canary.

LOOK = 100
SPEED = 20.0  # requests a second of the canary, so that its analysis is over after 18,000
_LATENCIES = np.exp(np.random.default_rng(1).normal(np.log(0.02), 0.05, 200_000))
_BUCKETS, _COUNTS = np.unique([bucket(s) for s in _LATENCIES], return_counts=True)
_INDICES = _BUCKETS.tolist()
_SHARES = _COUNTS / _COUNTS.sum()


def traffic(rng: np.random.Generator, candidate: float, looks: int) -> Iterator[Evidence]:
    """The sums after each look; the baseline fails in 0.2 % and answers as fast."""
    arms = []
    for n, rate in ((LOOK, candidate), (19 * LOOK, 0.002)):
        errors = rng.binomial(n, rate, looks)
        arms.append((n, errors.cumsum(), rng.multinomial(n - errors, _SHARES).cumsum(axis=0)))
    for look in range(looks):
        yield Evidence(
            *(
                ArmCounts(
                    n * (look + 1),
                    int(errors[look]),
                    Histogram(dict(zip(_INDICES, latency[look].tolist(), strict=True))),
                )
                for n, errors, latency in arms
            )
        )


def simulated(seed: int, candidate: float, looks: int) -> tuple[RolloutState, int]:
    """Where it got to, and the canary's requests until then."""
    life = Life(CANARY, ANALYSIS, {"setWeight": 50}, PAUSE, metrics=(ERRORS, LATENCY, DISAGREEMENT))
    life.look(NOTHING)
    seen = 0
    for evidence in traffic(np.random.default_rng(seed), candidate, looks):
        seen = evidence.candidate.requests
        if life.look(evidence, LOOK / SPEED).status in TERMINAL:
            break
    return life.state, seen


def test_two_points_more_errors_are_rolled_back_within_two_thousand_requests():
    ends = [simulated(seed, 0.022, 40) for seed in range(200)]
    assert all(state.status == "rolled_back" and state.weight == 0 for state, _ in ends)
    assert all("error_rate" in state.reason for state, _ in ends)
    seen = np.array([requests for _, requests in ends])
    assert (seen < 2_000).mean() >= 0.85
    assert seen.max() < 4_000


def test_equal_arms_are_rarely_rolled_back_however_often_they_are_looked_at():
    ends = [simulated(1_000 + seed, 0.002, 30)[0].status for seed in range(200)]
    assert ends.count("rolled_back") <= 15


def test_a_second_mirror_step_waits_for_pairs_of_its_own():
    more = {"mirror": {"percent": 50, "until": {"samples": 500}}}
    life = Life(MIRROR, CANARY, more, {"setWeight": 50})
    assert life.look(Evidence(pairs=pairs(2_000))).step == 1
    for compared in (2_000, 2_499):
        assert life.look(Evidence(pairs=pairs(compared))).step == 2
        assert life.state.mirror_percent == 50.0
    assert life.look(Evidence(pairs=pairs(2_500))).weight == 50.0
