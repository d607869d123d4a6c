from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.backtest.tally import Tally, scaled
from routing.decisions import Decision
from routing.evidence.interval import Interval
from tests.routing.backtest.recorded_decisions import recorded
from tests.routing.rules.written_routes import route, table

ONE = recorded(table(route()))


def record(user: int, weight: float, whole: bool = True) -> Decision:
    values = {name: getattr(ONE, name) for name in Decision.__dataclass_fields__}
    return Decision(
        **{**values, "user": bytes([*divmod(user, 256)]), "weight": weight, "whole": whole}
    )


def test_what_was_all_recorded_is_known() -> None:
    tally = Tally()
    for user in range(5):
        tally.add(record(user, 1.0), 2.0)
    assert tally.total() == Interval(10.0, 10.0, 10.0)


def test_a_record_counts_for_those_that_were_left_out() -> None:
    tally = Tally()
    tally.add(record(1, 4.0), 1.0)
    tally.add(record(2, 8.0, whole=False), 1.0)
    assert tally.total().estimate == 12.0


def test_the_end_is_never_below_what_was_seen() -> None:
    tally = Tally()
    for user in range(3):
        tally.add(record(user, 100.0), 1.0)
    assert tally.total().low >= 3.0


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.sampled_from([1.0, 1.7, 8.0]), st.floats(1e-9, 1e6), st.booleans()
        )
    )
)
def test_the_ends_hold_the_estimate_and_are_never_below_zero(
    records: list[tuple[int, float, float, bool]],
) -> None:
    tally = Tally()
    for user, weight, value, whole in records:
        tally.add(record(user, weight, whole), value)
    total = tally.total()
    assert 0.0 <= total.low <= total.estimate <= total.high
    if all(weight == 1.0 for _, weight, _, _ in records):
        assert total.low == total.high


def test_figures_are_summed_with_factors() -> None:
    tally = Tally(2)
    tally.add(record(1, 2.0), 3.0, 0.0)
    tally.add(record(2, 2.0), 0.0, 5.0)
    assert tally.total((1.0, 0.0)).estimate == 6.0
    assert tally.total((1.0, 10.0)).estimate == 106.0


def test_nothing_is_nothing() -> None:
    assert Tally().total() == Interval(0.0, 0.0, 0.0)


def test_another_unit_scales_all_ends() -> None:
    assert scaled(Interval(4.0, 2.0, 8.0), 0.5) == Interval(2.0, 1.0, 4.0)


@pytest.mark.parametrize("whole", [True, False])
def test_the_truth_is_mostly_within_the_interval(whole: bool) -> None:
    rng, inside = Random(11), 0
    sizes = [1 + rng.randrange(20) for _ in range(200)]
    for _ in range(150):
        tally = Tally()
        for user, size in enumerate(sizes):
            kept = rng.random() < 0.25
            for _ in range(size):
                if kept if whole else rng.random() < 0.25:
                    tally.add(record(user, 4.0, whole), 1.0)
        inside += sum(sizes) in tally.total()
    assert 134 <= inside <= 149
