"""Where traffic goes and how rollouts stand, as metrics of the gateway as a whole."""

from collections.abc import Callable, Iterable, Iterator

from gateway.metrics import Labelled, Totals
from gateway.rollout.controller import Rollouts
from protos.route.snapshot import RouteSnapshot
from routing.rollout.state import TRANSITIONS, RolloutState

VERDICTS = ("pass", "fail", "inconclusive")


def register(
    totals: Totals, routes: Callable[[], Iterable[RouteSnapshot]], rollouts: Rollouts
) -> None:
    """Adds the gauges; `routes` gives those in force, with what rollouts have made of them."""

    def weights() -> Labelled:
        found: dict[tuple[str, ...], float] = {}
        for route in routes():
            whole = sum(arm.weight for arm in route.arms)
            for arm in route.arms:
                found[route.name, arm.name] = arm.weight / whole if whole else 0.0
        return found

    def states() -> Iterator[RolloutState]:
        return iter(list(rollouts.states.values()))

    def statuses() -> Labelled:
        return {
            (state.route, status): float(state.status == status)
            for state in states()
            for status in TRANSITIONS
        }

    def gates() -> Labelled:
        return {
            (route, finding.metric, verdict): float(finding.verdict == verdict)
            for route, findings in list(rollouts.findings.items())
            for finding in findings
            for verdict in VERDICTS
        }

    totals.add_gauge(
        "penstock_arm_weight", "An arm's share of its route's traffic.", ("route", "arm"), weights
    )
    totals.add_gauge(
        "penstock_rollout_status",
        "1 for the status of the route's rollout.",
        ("route", "status"),
        statuses,
    )
    totals.add_gauge(
        "penstock_rollout_step",
        "Which step a rollout is at, from 0.",
        ("route",),
        lambda: {(state.route,): float(state.step) for state in states()},
    )
    totals.add_gauge(
        "penstock_rollout_weight",
        "The candidate's share of traffic, from 0 to 1.",
        ("route", "candidate"),
        lambda: {(state.route, state.candidate): state.weight / 100.0 for state in states()},
    )
    totals.add_gauge(
        "penstock_rollout_gate",
        "1 for what a metric of the analysis says now, in the replica that leads.",
        ("route", "metric", "verdict"),
        gates,
    )
