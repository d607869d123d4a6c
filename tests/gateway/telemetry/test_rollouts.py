"""Weights in force, and how rollouts stand, as metrics."""

from types import SimpleNamespace

from gateway.metrics import Totals
from gateway.telemetry.rollouts import register
from protos.route.snapshot import Arm
from routing.rollout.state import TRANSITIONS, RolloutState
from tests.gateway.telemetry.collected import collected

STATE = RolloutState(
    id="1",
    route="fraud",
    candidate="canary",
    baseline="stable",
    step=2,
    status="held",
    weight=5.0,
    mirror_percent=0.0,
    started=0.0,
    step_started=0.0,
    since=0.0,
    weight_since=0.0,
)
FINDING = SimpleNamespace(metric="error_rate", verdict="fail")
ARMS = (Arm("stable", "m", "1", 95.0), Arm("canary", "m", "2", 5.0))


def samples(arms=ARMS) -> dict[tuple[str, ...], float]:
    totals = Totals()
    routes = [SimpleNamespace(name="fraud", arms=arms)]
    rollouts = SimpleNamespace(states={"fraud": STATE}, findings={"fraud": (FINDING,)})
    register(totals, lambda: routes, rollouts)
    return {
        (sample.name.removeprefix("penstock_"), *sample.labels.values()): sample.value
        for family in collected(totals.families())
        for sample in family.samples
    }


def test_weights_are_shares_of_the_routes_traffic() -> None:
    found = samples()
    assert found["arm_weight", "fraud", "stable"] == 0.95
    assert found["arm_weight", "fraud", "canary"] == 0.05


def test_a_route_without_any_weight_has_no_shares() -> None:
    assert samples(arms=(Arm("stable", "m", "1", 0.0),))["arm_weight", "fraud", "stable"] == 0


def test_a_rollout_has_one_status_its_step_and_weight() -> None:
    found = samples()
    status = {key[2]: value for key, value in found.items() if key[0] == "rollout_status"}
    assert status == {each: float(each == "held") for each in TRANSITIONS}
    assert found["rollout_step", "fraud"] == 2
    assert found["rollout_weight", "fraud", "canary"] == 0.05


def test_a_gate_has_one_verdict() -> None:
    found = samples()
    gates = {key[2:]: value for key, value in found.items() if key[0] == "rollout_gate"}
    assert gates == {
        ("error_rate", "pass"): 0,
        ("error_rate", "fail"): 1,
        ("error_rate", "inconclusive"): 0,
    }
