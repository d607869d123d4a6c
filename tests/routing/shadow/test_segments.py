"""Segments: the largest by name, the rest together, and flags that many looks don't wear out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.evidence.counts import PairCounts
from routing.shadow.segments import SHOWN, Segments, dimensions

BOUND, LEVEL = 0.01, 0.95


def add(kind: Segments, value: str, compared: int, differ: int) -> None:
    counts = kind.of(value)
    counts.sampled += compared
    counts.alone_differ += differ
    counts.alone_agree += compared - differ


def test_the_largest_are_named_and_the_rest_is_summed_up():
    kind = Segments("tenant")
    for number in range(50):
        add(kind, f"t{number}", 100 + number, 1)
    (dimension,) = dimensions([kind], BOUND, LEVEL, 1.0)
    assert [each.value for each in dimension.segments] == [f"t{n}" for n in range(49, 29, -1)]
    assert dimension.rest is not None
    assert dimension.rest.compared == sum(100 + n for n in range(30))
    assert (dimension.distinct, dimension.at_least) == (50, False)


def test_a_segment_that_is_surely_beyond_the_bound_is_flagged():
    kind = Segments("tenant")
    add(kind, "harmed", 1000, 80)
    add(kind, "fine", 9000, 45)
    (dimension,) = dimensions([kind], BOUND, LEVEL, 1.0)
    assert [(each.value, each.flagged) for each in dimension.segments] == [
        ("fine", False),
        ("harmed", True),
    ]


def test_a_segment_is_not_flagged_for_pairs_that_may_all_have_agreed():
    kind = Segments("tenant")
    add(kind, "covered", 600, 36)
    add(kind, "hardly covered", 600, 36)
    kind.of("hardly covered").sampled += 5400
    (dimension,) = dimensions([kind], BOUND, LEVEL, 1.0)
    assert {each.value: each.flagged for each in dimension.segments} == {
        "covered": True,
        "hardly covered": False,
    }


def test_labels_are_only_of_compared_pairs_so_the_coverage_of_all_holds_for_them():
    labels, tenants = Segments("label", of_compared=True), Segments("tenant")
    for kind in (labels, tenants):
        add(kind, "harmed", 600, 36)
    found = dimensions([labels, tenants], BOUND, LEVEL, 0.1)
    assert [each.segments[0].flagged for each in found] == [False, True]


def test_a_segment_that_looks_bad_alone_is_not_flagged_among_many():
    alone, many = Segments("tenant"), Segments("tenant")
    for kind in (alone, many):
        add(kind, "unlucky", 500, 12)
    for number in range(19):
        add(many, f"t{number}", 500, 5)
    (one,) = dimensions([alone], BOUND, LEVEL, 1.0)
    (others,) = dimensions([many], BOUND, LEVEL, 1.0)
    unlucky = next(each for each in others.segments if each.value == "unlucky")
    assert one.segments[0].flagged
    assert not unlucky.flagged
    assert unlucky.above_noise.low > BOUND > unlucky.corrected.low


def test_the_rest_is_never_flagged_as_it_is_no_segment():
    kind = Segments("tenant")
    for number in range(SHOWN):
        add(kind, f"large{number}", 1000, 0)
    for number in range(100):
        add(kind, f"small{number}", 10, 9)
    (dimension,) = dimensions([kind], BOUND, LEVEL, 1.0)
    assert dimension.rest is not None
    assert dimension.rest.above_noise.low > 0.8
    assert not dimension.rest.flagged


def test_no_segment_of_an_equal_candidate_is_flagged_but_in_few_reports():
    rng = np.random.default_rng(5)
    reports = 100
    flagged = 0
    for _ in range(reports):
        kind = Segments("tenant")
        for number, differ in enumerate(rng.binomial(400, BOUND, 20)):
            add(kind, f"t{number}", 400, int(differ))
        (dimension,) = dimensions([kind], BOUND, LEVEL, 1.0)
        flagged += any(each.flagged for each in dimension.segments)
    assert flagged <= 10


def test_ten_thousand_tenants_do_not_grow_memory_and_a_large_one_survives():
    kind = Segments("tenant", kept=100)
    for number in range(10_000):
        add(kind, f"t{number}", 1, 0)
        add(kind, "large", 1, 1)
    assert len(kind.counts) <= 100
    (dimension,) = dimensions([kind], BOUND, LEVEL, 1.0)
    assert (dimension.segments[0].value, dimension.segments[0].compared) == ("large", 10_000)
    assert dimension.at_least


def test_a_kind_without_any_value_has_no_dimension():
    assert dimensions([Segments("label")], BOUND, LEVEL, 1.0) == ()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=300))
def test_no_pair_is_lost_whatever_is_folded(pairs: list[tuple[int, bool]]):
    kind = Segments("label", kept=8)
    for value, differs in pairs:
        add(kind, str(value), 1, int(differs))
    total = PairCounts()
    total.merge(kind.rest)
    for counts in kind.counts.values():
        total.merge(counts)
    assert total.sampled == total.compared == len(pairs)
    assert total.candidate_differs == sum(differs for _, differs in pairs)
