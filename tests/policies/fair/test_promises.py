"""What is promised to tenants of a saturated model, on a simulated clock."""

import numpy as np
import pytest

from policies.fair.settings import Fairness
from tests.policies.fair.simulated_mesh import Load, SimulatedMesh

# Seconds of a batch, and rows of it.
DEVICES = pytest.mark.parametrize(
    ("seconds", "rows"), [(0.02, 1), (0.04, 8)], ids=["one at a time", "in batches"]
)
WORKERS = pytest.mark.parametrize("workers", [1, 2], ids=["one worker", "two workers"])
NEIGHBOURS = 3


def p99(told):
    return float(np.quantile(told, 0.99))


@DEVICES
@WORKERS
def test_fifty_times_a_share_costs_the_others_a_fifth_of_their_p99_at_most(seconds, rows, workers):
    share = rows / seconds / (NEIGHBOURS + 1)
    neighbours = {str(number): Load(0.6 * share) for number in range(NEIGHBOURS)}
    lasts = 400 / share  # seconds, so that there are enough requests for a p99
    found = []
    for noisy in ({}, {"noisy": Load(50 * share)}):
        mesh = SimulatedMesh(seconds, rows, workers=workers)
        mesh.run(neighbours | noisy, lasts)
        assert sum(mesh.told[name].refused for name in neighbours) == 0
        found.append(p99([each for name in neighbours for each in mesh.told[name].done]))
    quiet, beside = found
    assert beside <= 1.2 * quiet


@DEVICES
@WORKERS
def test_ten_times_too_much_is_refused_and_the_rest_is_done_in_time(seconds, rows, workers):
    capacity = rows / seconds
    timeout = 20 * seconds
    mesh = SimulatedMesh(seconds, rows, workers=workers)
    mesh.run({"all": Load(10 * capacity, timeout)}, 15.0)
    done = mesh.told["all"].done
    assert len(done) >= 0.9 * capacity * 10.0
    assert p99(done) <= timeout


@DEVICES
@WORKERS
def test_tenants_that_want_more_than_all_get_it_by_their_weights(seconds, rows, workers):
    capacity = rows / seconds
    settings = Fairness.model_validate({"weights": {"gold": 4.0}})
    mesh = SimulatedMesh(seconds, rows, workers=workers, settings=settings)
    mesh.run({name: Load(3 * capacity, 1.0) for name in ("gold", "other")}, 30.0, 10.0)
    gold, other = (len(mesh.told[name].done) for name in ("gold", "other"))
    assert gold / other == pytest.approx(4.0, rel=0.15)
    assert gold + other >= 0.9 * capacity * 20.0


@WORKERS
def test_within_its_share_nobody_is_refused_however_many_flood(workers):
    seconds, rows, share = 0.02, 1, 50 / 6
    loads = {f"noisy {number}": Load(20 * share) for number in range(5)}
    loads["quiet"] = Load(0.5 * share)
    mesh = SimulatedMesh(seconds, rows, workers=workers)
    mesh.run(loads, 30.0)
    assert mesh.told["quiet"].refused == 0
    assert p99(mesh.told["quiet"].done) <= 20 * seconds
