"""Stop strings end an answer wherever the text was cut."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.llm.stops import Stops


def passed(stops: Stops, pieces: list[str]) -> str:
    text = "".join(stops.feed(each) for each in pieces)
    return text + stops.end()


def test_nothing_from_the_string_on_is_passed() -> None:
    stops = Stops(["END"])
    assert passed(stops, ["on and on E", "N", "D never"]) == "on and on "
    assert stops.stopped


def test_a_beginning_that_comes_to_nothing_is_passed_later() -> None:
    stops = Stops(["END"])
    assert stops.feed("the EN") == "the "
    assert stops.feed("tity") == "ENtity"
    assert stops.feed(" E") == " "
    assert stops.end() == "E"


def test_the_first_of_several_counts() -> None:
    assert passed(Stops(["b", "ab"]), ["xab"]) == "x"


def test_without_any_all_is_passed_at_once() -> None:
    assert Stops([]).feed("text") == "text"


@settings(deadline=None, max_examples=100)
@given(
    st.text("ab", max_size=30),
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    st.data(),
)
def test_cuts_make_no_difference(text: str, strings: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    bounds = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(bounds)]
    found = [at for each in strings if (at := text.find(each)) >= 0]
    got = passed(Stops(strings), pieces)
    # In one piece all strings are seen at once; in several the one that ends first is.
    assert text.startswith(got)
    assert not any(each in got for each in strings)
    if not found:
        assert got == text
