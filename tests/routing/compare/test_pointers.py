"""Pointers name places in documents, as RFC 6901 has them, and any index by a star."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from protos.route.mirror import Compare
from routing.compare.pointers import LONGEST, pointer_to, step, tokens


def way(*names):
    found = None
    for name in names:
        found = (found, name)
    return found


@given(st.lists(st.text("ab~/01*é ", max_size=5), min_size=1, max_size=5))
@settings(deadline=None, max_examples=80)
def test_what_is_written_is_read_again(names):
    assert tokens(pointer_to(way(*names))) == tuple(names)


@pytest.mark.parametrize(
    ("pointer", "names"),
    [("/foo", ("foo",)), ("/", ("",)), ("/a~1b", ("a/b",)), ("/m~0n", ("m~n",)), ("/~01", ("~1",))],
)
def test_the_examples_of_the_rfc(pointer, names):
    assert tokens(pointer) == names


def test_a_step_leaves_what_is_below_and_none_where_a_pointer_ends():
    below = (("a", "b"), ("a", "0"), ("x",))
    assert step(below, "a", is_index=False) == (("b",), ("0",))
    assert step(below, "x", is_index=False) is None
    assert step(below, "y", is_index=False) == ()


def test_a_star_is_any_index_but_only_itself_among_members():
    below = (("*", "id"),)
    assert step(below, "7", is_index=True) == (("id",),)
    assert step(below, "7", is_index=False) == ()
    assert step(below, "*", is_index=False) == (("id",),)


def test_a_pointer_in_a_sentence_is_short_and_printable():
    assert pointer_to(way("a\nb\ud800")) == "/a�b�"
    assert len(pointer_to(way("x" * 1000))) == LONGEST
    assert pointer_to(None) == ""


@pytest.mark.parametrize("bad", ["", "price", "items/0", "/a~2", "/a~"])
def test_what_is_no_pointer_is_refused_when_the_route_is_read(bad):
    with pytest.raises(ValidationError, match="a JSON Pointer is written such as"):
        Compare(kind="json", ignore=(bad,))
