"""From the requests of some users to those of all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.evidence.weighted import weighted_share, weighted_total


class Traffic:
    """Users with few or many requests; the later half was kept with a smaller probability."""

    def __init__(self, users=300, seed=1):
        rng = np.random.default_rng(seed)
        self.values = [
            (rng.random(n) < rng.beta(1, 3)).astype(float)
            for n in np.minimum(rng.zipf(1.8, users), 60)
        ]
        self.total = sum(values.sum() for values in self.values)
        self.share = self.total / sum(values.size for values in self.values)

    def recorded(self, rng, early, late):
        """What a sample holds whose threshold is `early` at first and `late` later."""
        values, weights = {}, {}
        for user, unit in enumerate(rng.random(len(self.values))):
            all_values = self.values[user]
            kept = np.where(np.arange(all_values.size) < all_values.size / 2, early, late)
            seen = unit < kept
            if seen.any():
                values[user] = all_values[seen].tolist()
                weights[user] = (1 / kept[seen]).tolist()
        return values, weights


@pytest.mark.parametrize(("early", "late"), [(0.5, 0.5), (0.8, 0.2)])
def test_the_true_total_and_share_lie_in_it_nearly_as_often_as_it_says(early, late):
    traffic = Traffic()
    rng = np.random.default_rng(2)
    totals, shares, estimates = 0, 0, []
    for _ in range(200):
        recorded = traffic.recorded(rng, early, late)
        total = weighted_total(*recorded)
        estimates.append(total.estimate)
        totals += traffic.total in total
        shares += traffic.share in weighted_share(*recorded)

    assert np.mean(estimates) == pytest.approx(traffic.total, rel=0.03)
    # A few users matter most, so that even the error is uncertain.
    assert totals >= 180
    assert shares >= 180


def test_a_user_s_requests_are_not_independent_of_each_other():
    # 100 users of 10 requests, or 1,000 of one: as many records, but not as sure.
    whole = {user: [1.0] * 10 for user in range(100)}
    single = {user: [1.0] for user in range(1000)}
    few = weighted_total(whole, {user: [4.0] * 10 for user in whole})
    many = weighted_total(single, {user: [4.0] for user in single})

    assert few.estimate == many.estimate == 4000
    assert few.width == pytest.approx(many.width * np.sqrt(10), rel=0.02)


def test_what_was_recorded_in_full_is_certain():
    values, weights = {"a": [1.0, 0.0], "b": [1.0]}, {"a": [1.0, 1.0], "b": [1.0]}

    assert weighted_total(values, weights).width == 0
    assert weighted_share(values, weights).width == 0
    assert weighted_share(values, weights).estimate == pytest.approx(2 / 3)


def test_a_total_is_never_less_than_what_was_recorded():
    found = weighted_total({"a": [5.0]}, {"a": [100.0]})

    assert (found.estimate, found.low) == (500.0, 5.0)


def test_losses_may_outweigh_gains():
    found = weighted_total({"a": [5.0], "b": [-5.0]}, {"a": [10.0], "b": [10.0]})

    assert found.estimate == 0.0
    assert found.low == -found.high


def test_a_share_that_nobody_showed_isn_t_certainly_nothing():
    values = {user: [0.0] for user in range(50)}
    found = weighted_share(values, {user: [10.0] for user in values})

    assert found.estimate == found.low == 0.0
    assert 0.05 < found.high < 0.1


def test_without_records_nothing_is_known_of_a_share():
    found = weighted_share({}, {})

    assert (found.low, found.high) == (0.0, 1.0)
    assert weighted_total({}, {}).estimate == 0.0


records = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.floats(min_value=1.0, max_value=100.0)), max_size=8
)


@given(st.dictionaries(st.integers(0, 20), records, max_size=10))
@settings(deadline=None, max_examples=50)
def test_it_holds_its_estimate(drawn):
    values = {user: [value for value, _ in records] for user, records in drawn.items()}
    weights = {user: [weight for _, weight in records] for user, records in drawn.items()}
    total, share = weighted_total(values, weights), weighted_share(values, weights)

    assert 0.0 <= total.low <= total.estimate <= total.high
    assert 0.0 <= share.low <= share.estimate <= share.high <= 1.0


def test_what_doesn_t_fit_is_refused():
    with pytest.raises(ValueError, match="a user has 2 values and 1 weights"):
        weighted_total({"a": [1.0, 2.0]}, {"a": [1.0]})
    with pytest.raises(ValueError, match=r"weights are at least 1, one over a probability: 0\.5"):
        weighted_total({"a": [1.0]}, {"a": [0.5]})
    with pytest.raises(ValueError, match="a share is of values between 0 and 1: 2"):
        weighted_share({"a": [2.0]}, {"a": [1.0]})
