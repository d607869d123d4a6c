"""Agreement over time: intervals that people read, and none that wasn't measured."""

import pytest

from routing.shadow.timeline import MOMENTS, Timeline

HOUR = 3600.0


@pytest.mark.parametrize(
    ("hours", "seconds"),
    [(0.25, 60), (1, 300), (8, 900), (24, 3600), (24 * 7, 6 * 3600), (24 * 30, 86400)],
)
def test_a_window_is_divided_into_round_intervals(hours: float, seconds: float):
    timeline = Timeline(0.0, hours * HOUR)
    assert timeline.seconds == seconds
    assert hours * HOUR / timeline.seconds <= MOMENTS


def test_a_moment_counts_what_agreed_and_what_the_primary_made_of_itself():
    timeline = Timeline(0.0, 24 * HOUR)
    counts = timeline.at(2.5 * HOUR)
    counts.sampled += 4
    counts.add(True, False)
    counts.add(False, True)
    counts.add(False, None)
    (moment,) = timeline.moments(0.95)
    assert (moment.start, moment.sampled, moment.compared) == (2 * HOUR, 4, 3)
    assert moment.agreement.estimate == pytest.approx(2 / 3)
    assert moment.own_agreement is not None
    assert moment.own_agreement.estimate == 0.5


def test_an_interval_in_which_nothing_was_compared_is_a_gap():
    timeline = Timeline(0.0, 24 * HOUR)
    timeline.at(1 * HOUR).add(False, None)
    timeline.at(3 * HOUR).sampled += 1
    timeline.at(5 * HOUR).add(False, None)
    assert [each.start for each in timeline.moments(0.95)] == [HOUR, 5 * HOUR]


def test_a_window_that_begins_at_any_minute_has_no_short_interval():
    since = 1000.0
    timeline = Timeline(since, since + 24 * HOUR)
    for minute in range(24 * 60):
        timeline.at(since + minute * 60).add(False, None)
    assert [each.compared for each in timeline.moments(0.95)] == [60] * 24


def test_clocks_that_disagree_lose_nothing():
    timeline = Timeline(10 * HOUR, 20 * HOUR)
    timeline.at(0.0).add(False, None)
    timeline.at(1e9).add(False, None)
    starts = [each.start for each in timeline.moments(0.95)]
    assert starts == [10 * HOUR, 20 * HOUR - timeline.seconds]
