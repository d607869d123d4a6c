"""The confidence is that of the whole rollout, over all weights and metrics."""

import pytest

from routing.rollout.evidence import findings
from tests.routing.rollout.made_routes import ANALYSIS, CANARY, ERRORS, GOOD, LATENCY, rollout


def level(*weights: float, **options: object) -> float:
    steps = [step for weight in weights for step in ({"setWeight": weight}, ANALYSIS)]
    return findings(rollout(*steps, **options), GOOD)[0].interval.level


def test_one_metric_at_one_weight_has_all_of_it():
    assert level(5) == pytest.approx(0.95)


def test_each_weight_and_each_metric_has_a_part_of_the_false_alarms():
    assert level(5, 50) == pytest.approx(0.975)
    assert level(5, 50, metrics=(ERRORS, LATENCY)) == pytest.approx(0.9875)


def test_only_weights_that_change_the_candidates_traffic_count():
    assert level(0, 5, 5, 0) == pytest.approx(0.95)
    assert findings(rollout(ANALYSIS), GOOD)[0].interval.level == pytest.approx(0.95)
    assert CANARY["setWeight"] == 5
