"""What workers count for each arm: answers, and failures that are the server's fault."""

import pytest

from gateway.arms import BESIDE_THE_ARM, ArmBook, counts_of
from protos.errors import Kind, PenstockError
from protos.timeline import Timeline


def asked(**how):
    return Timeline(0.0, route="fraud", rollout="r", arm="canary", began=1.0, **how)


def counted(timeline, error=None):
    """Requests and errors that the book has after one request."""
    book = ArmBook()
    book.observe(timeline, error)
    return [(report.requests, report.errors) for report in book.take()]


def test_answers_count_with_the_arms_time():
    book = ArmBook()
    book.observe(asked(answered=1.5), None)
    (report,) = book.take()
    assert (report.route, report.rollout, report.arm) == ("fraud", "r", "canary")
    counts = counts_of(report)
    assert (counts.requests, counts.errors, counts.latency.total) == (1, 0, 1)
    assert counts.latency.quantile(0.5) == pytest.approx(0.5, rel=0.05)
    assert book.take() == []


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (PenstockError(Kind.MODEL_FAILED, "no"), [(1, 1)]),
        (PenstockError(Kind.DEADLINE, "no"), [(1, 1)]),
        (ValueError("a mistake in the gateway"), [(1, 1)]),
        (PenstockError(Kind.INVALID, "no"), []),
        (PenstockError(Kind.CANCELLED, "no"), []),
    ],
)
def test_failures_count_if_they_are_the_servers_fault(error, counts):
    assert counted(asked(answered=1.5), error) == counts


@pytest.mark.parametrize("policy", sorted(BESIDE_THE_ARM))
def test_what_a_policy_refuses_says_nothing_of_the_arm(policy):
    down = PenstockError(Kind.UNAVAILABLE, "the classifier is down")
    assert counted(asked(answered=1.5, refused=policy), down) == []
    assert counted(asked(answered=1.5, refused="fair"), down) == [(1, 1)]


@pytest.mark.parametrize(
    ("timeline", "counts"),
    [
        (asked(first_by_client=True, whole_by_client=True), []),
        (asked(answered=1.5, whole_by_client=True), []),
        # The route's own deadline for the first part came before the client's for the whole.
        (asked(whole_by_client=True), [(1, 1)]),
    ],
    ids=["before the first part", "after it", "the route's own"],
)
def test_a_deadline_that_the_client_chose_is_nobodys_fault(timeline, counts):
    assert counted(timeline, PenstockError(Kind.DEADLINE, "too late")) == counts


def test_other_failures_of_clients_in_a_hurry_count():
    timeline = asked(first_by_client=True, whole_by_client=True)
    assert counted(timeline, PenstockError(Kind.INTERNAL, "no")) == [(1, 1)]


@pytest.mark.parametrize("error", [None, PenstockError(Kind.MODEL_FAILED, "no")])
def test_who_names_a_version_is_no_sample_of_the_arms_users(error):
    assert counted(asked(answered=1.5, pinned=True), error) == []
