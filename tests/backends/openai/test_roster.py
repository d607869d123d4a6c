"""Which models of a server are served, under which names, and when not."""

import pytest

from backends.openai.roster import Roster, revision_of
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError


def states(roster):
    return {each.name: (each.upstream, each.state) for each in roster.entries()}


def refused(roster, *key):
    with pytest.raises(PenstockError) as caught:
        roster.get(*key)
    return caught.value.kind


def test_without_names_all_that_is_listed_is_served_under_its_own():
    roster = Roster({})
    assert roster.update({"org/a", "b"})
    assert states(roster) == {"org/a": ("org/a", pb.READY), "b": ("b", pb.READY)}
    assert roster.get("b", "").upstream == roster.get("b", "1").upstream == "b"
    assert refused(roster, "b", "2") is Kind.NOT_FOUND
    assert refused(roster, "c", "") is Kind.NOT_FOUND


def test_with_names_only_these_are():
    roster = Roster({"chat": "org/a", "gone": "org/x"})
    assert states(roster)["chat"] == ("org/a", pb.LOADING)
    assert refused(roster, "chat", "") is Kind.UNAVAILABLE
    roster.update({"org/a", "org/b"})
    assert states(roster) == {"chat": ("org/a", pb.READY), "gone": ("org/x", pb.UNAVAILABLE)}
    assert refused(roster, "org/a", "") is Kind.NOT_FOUND


def test_a_model_that_is_listed_no_more_is_unavailable_until_it_is():
    roster = Roster({})
    roster.update({"a"})
    roster.update(set())
    assert refused(roster, "a", "") is Kind.UNAVAILABLE
    assert '"a"' in roster.entries()[0].reason
    roster.update({"a"})
    assert roster.get("a", "")


def test_the_revision_grows_with_changes_alone():
    roster = Roster({})
    before = roster.revision
    assert roster.update({"a"})
    assert not roster.update({"a"})
    assert roster.revision == before + 1


def test_a_server_that_lists_nothing_may_be_believed_to_have_what_is_named():
    roster = Roster({"chat": "/models/a"}, unlisted=True)
    roster.update(set())
    assert roster.get("chat", "").upstream == "/models/a"


def test_weights_have_a_revision_if_somebody_says_which():
    roster = Roster({"a": "x", "b": "y"})
    a, b = roster.entries()
    assert revision_of(a, "") == ""
    assert revision_of(a, "2026-01") == revision_of(a, "2026-01") != revision_of(b, "2026-01")
    assert revision_of(a, "2026-02") != revision_of(a, "2026-01")
