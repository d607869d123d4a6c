"""Cores are divided among processes that compute, without overlap while there are enough."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cores import share


def test_one_process_takes_all():
    assert share([0, 1, 2, 3], [None]) == [(0, 1, 2, 3)]


def test_two_divide_them_equally():
    assert share([0, 1, 2, 3], [None, None]) == [(0, 1), (2, 3)]


def test_who_names_a_number_gets_it_and_the_others_divide_the_rest():
    assert share(range(8), [1, None, None]) == [(0,), (1, 2, 3), (4, 5, 6, 7)]


def test_when_they_run_out_processes_share():
    assert share([4, 5], [None, None, None]) == [(4,), (5,), (4,)]


def test_no_process_takes_more_than_there_are():
    assert share([0, 1], [64]) == [(0, 1)]


@settings(deadline=None, max_examples=200)
@given(
    st.sets(st.integers(0, 63), min_size=1, max_size=32),
    st.lists(st.none() | st.integers(1, 8), max_size=8),
)
def test_everybody_has_a_core_and_nobody_shares_while_there_are_enough(cores, wanted):
    sets = share(sorted(cores), wanted)
    assert len(sets) == len(wanted)
    assert all(taken and set(taken) <= cores for taken in sets)
    if sum(threads or 1 for threads in wanted) <= len(cores):
        taken = [core for each in sets for core in each]
        assert len(taken) == len(set(taken))
        assert [len(each) for each, n in zip(sets, wanted, strict=True) if n] == [
            n for n in wanted if n
        ]
