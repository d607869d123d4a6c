import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.batching.cost import MAX_BUCKETS, MAX_MODELS, CostTable

KEY = ("m", "1")


def bucket(width):
    return (("x", "f", (width,)),)


def table(measured, width=8):
    made = CostTable()
    for rows, seconds in measured.items():
        made.observe(KEY, bucket(width), rows, seconds)
    return made


def test_nothing_is_predicted_before_anything_was_observed():
    assert CostTable().predict(KEY, bucket(8), 4) == 0.0
    assert CostTable().quantiles() == (0.0, 0.0)


def test_a_measured_size_is_predicted_as_it_was_measured():
    assert table({1: 0.010, 8: 0.024}).predict(KEY, bucket(8), 8) == 0.024


def test_between_two_sizes_lies_a_line():
    assert table({1: 0.010, 9: 0.026}).predict(KEY, bucket(8), 5) == pytest.approx(0.018)


def test_beyond_the_largest_size_the_line_goes_on():
    assert table({4: 0.010, 8: 0.018}).predict(KEY, bucket(8), 16) == pytest.approx(0.034)


def test_a_slope_that_noise_turned_down_never_makes_more_rows_cheaper():
    assert table({4: 0.020, 8: 0.018}).predict(KEY, bucket(8), 64) == 0.018


def test_below_the_smallest_size_a_batch_costs_at_least_its_share():
    predicted = table({8: 0.010, 16: 0.030}).predict(KEY, bucket(8), 1)
    assert predicted == pytest.approx(0.010 / 8)


def test_one_measurement_alone_scales_up_fully_and_down_by_half():
    made = table({8: 0.010})
    assert made.predict(KEY, bucket(8), 16) == pytest.approx(0.020)
    assert 0.005 <= made.predict(KEY, bucket(8), 1) <= 0.006


def test_new_measurements_move_the_average():
    made = table({8: 0.010})
    for _ in range(20):
        made.observe(KEY, bucket(8), 8, 0.030)
    assert made.predict(KEY, bucket(8), 8) == pytest.approx(0.030, rel=0.02)


def test_one_batch_that_hung_moves_the_average_a_little():
    made = table({1: 0.005, 32: 0.020})
    made.observe(KEY, bucket(8), 32, 10.0)
    assert made.predict(KEY, bucket(8), 32) <= 0.035


def test_the_first_batch_of_a_size_or_shape_is_held_against_what_is_known():
    made = table({1: 0.005, 8: 0.008})
    made.observe(KEY, bucket(8), 16, 10.0)
    assert made.predict(KEY, bucket(8), 16) < 0.060
    made.observe(KEY, bucket(16), 8, 10.0)
    assert made.predict(KEY, bucket(16), 8) < 0.080


def test_a_device_that_stays_slow_is_believed():
    made = table({32: 0.010})
    for _ in range(40):
        made.observe(KEY, bucket(8), 32, 10.0)
    assert made.predict(KEY, bucket(8), 32) == pytest.approx(10.0, rel=0.02)


def test_a_size_that_is_not_executed_any_more_recovers_with_its_neighbours():
    made = table({1: 0.005, 16: 0.012, 32: 0.020})
    for _ in range(40):
        made.observe(KEY, bucket(8), 32, 10.0)
    for _ in range(60):
        made.observe(KEY, bucket(8), 16, 0.012)
    assert made.predict(KEY, bucket(8), 32) <= 0.050
    assert made.predict(KEY, bucket(8), 1) == 0.005


def test_an_unknown_bucket_is_scaled_from_the_one_nearest_in_size():
    made = table({8: 0.010}, width=64)
    made.observe(KEY, bucket(1024), 8, 0.500)
    assert made.predict(KEY, bucket(128), 8) == pytest.approx(0.020)
    assert made.predict(KEY, bucket(2048), 8) == pytest.approx(1.0)
    assert 0.005 <= made.predict(KEY, bucket(1), 8) <= 0.010


def test_quantiles_are_those_of_executed_batches():
    made = CostTable()
    for each in range(1, 101):
        made.executed(each / 1000)
    assert made.quantiles() == pytest.approx((0.050, 0.099))


def test_shapes_and_models_are_remembered_up_to_a_bound():
    made = CostTable()
    for width in range(1, MAX_BUCKETS + 50):
        made.observe(KEY, bucket(width), 1, 0.001 * width)
    for number in range(MAX_MODELS + 50):
        made.observe((f"other{number}", "1"), bucket(8), 1, 0.001)
    assert made.predict(KEY, bucket(8), 1) == 0.0
    assert made.predict(("other299", "1"), bucket(8), 1) == 0.001


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(st.integers(1, 256), st.floats(1e-6, 10.0), min_size=1, max_size=8),
    st.integers(1, 1024),
    st.integers(1, 4096),
)
def test_any_prediction_is_positive_and_finite(measured, rows, width):
    predicted = table(measured).predict(KEY, bucket(width), rows)
    assert 0.0 < predicted < 1e9
