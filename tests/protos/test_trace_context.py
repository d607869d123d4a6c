"""W3C Trace Context, level 1: what is taken from others, and what goes on."""

import re

import pytest

from protos import trace_context
from protos.trace_context import accepted, accepted_state, begin, child, is_sampled, read

MEMBER = trace_context._MEMBER

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{SPAN}-01"


def test_a_well_formed_traceparent_is_taken_as_it_is() -> None:
    assert accepted(GIVEN) == GIVEN
    assert accepted(GIVEN[:-2] + "00") == GIVEN[:-2] + "00"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "00",
        GIVEN.upper(),
        GIVEN + "-more",  # version 00 has nothing more
        GIVEN + " ",
        f"ff-{TRACE}-{SPAN}-01",  # no version at all
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        GIVEN.replace("0af7", "٠af7"),
        "00-bob@example.com" + "." * 16 + f"-{SPAN}-01",
    ],
)
def test_a_malformed_one_starts_the_trace_anew(given: str) -> None:
    assert accepted(given) == ""


def test_of_later_versions_what_is_known_is_taken() -> None:
    assert accepted(f"cc-{TRACE}-{SPAN}-03-what-the-future-will-be") == GIVEN
    assert accepted(f"cc-{TRACE}-{SPAN}-02") == f"00-{TRACE}-{SPAN}-00"
    assert accepted(f"cc-{TRACE}-{SPAN}-01.what") == ""


def test_a_new_trace_has_new_ids_and_the_decision() -> None:
    one, other = begin("", sampled=True), begin("", sampled=False)
    assert accepted(one) == one
    assert accepted(other) == other
    assert (is_sampled(one), is_sampled(other)) == (True, False)
    assert read(one).trace_id != read(other).trace_id


def test_below_a_parent_the_trace_and_its_decision_stay() -> None:
    below = begin(GIVEN, sampled=False)
    assert accepted(below) == below
    assert read(below)._replace(span_id=0) == read(GIVEN)._replace(span_id=0)
    assert read(below).span_id != read(GIVEN).span_id
    assert is_sampled(below)


def test_a_child_stands_below_the_span_that_is_named() -> None:
    assert read(child(GIVEN, 0xAB)) == (int(TRACE, 16), 0xAB, True)


def test_vendors_state_passes_in_its_order() -> None:
    assert accepted_state(["a=1,b@c=2"]) == "a=1,b@c=2"
    assert accepted_state(["a=1 ,\tb=2", "", "c=3"]) == "a=1,b=2,c=3"
    assert accepted_state(["0a-_*/@x=a b~"]) == "0a-_*/@x=a b~"


@pytest.mark.parametrize(
    "given", ["a", "A=1", "a=1,a=2", "a=\x00", "a=1=2", "=1", "a=", f"{'k' * 257}=1", "a@=1"]
)
def test_a_malformed_state_is_dropped_as_a_whole(given: str) -> None:
    assert accepted_state([given]) == ""


def test_of_too_much_state_the_oldest_goes() -> None:
    many = [f"k{number}=v" for number in range(40)]
    assert accepted_state(many) == ",".join(many[:32])
    long = [f"k{number}={'v' * 200}" for number in range(3)]
    assert accepted_state(long) == ",".join(long[:2])


def test_what_is_dropped_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    class Pattern:
        def fullmatch(self, text: str) -> re.Match[str] | None:
            looked.append(text)
            return MEMBER.fullmatch(text)

    monkeypatch.setattr(trace_context, "_MEMBER", Pattern())
    accepted_state([",".join(f"k{number}=v" for number in range(2200))])
    assert len(looked) == 32
