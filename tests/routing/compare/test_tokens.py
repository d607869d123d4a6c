"""Streams are compared as the text they say, not by how it was cut."""

from hypothesis import given, settings
from hypothesis import strategies as st

from protos.values import Chat, Part, Tensors
from tests.routing.compare.compared_answers import compared, part, stream, unary


def tokens(primary, candidate, **how):
    return compared(stream("text", *primary), stream("text", *candidate), kind="tokens", **how)


@given(st.text(min_size=1, max_size=30), st.data())
@settings(deadline=None, max_examples=60)
def test_any_two_cuts_of_a_text_agree(text, data):
    def cut():
        raw = text.encode()
        at = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=4)))
        return [raw[a:b] for a, b in zip([0, *at], [*at, len(raw)], strict=True)]

    outcome = tokens(cut(), cut())
    assert outcome.agrees
    assert outcome.distance == 0
    assert outcome.measures["common_prefix"] == 1
    assert "first_divergence" not in outcome.measures


def test_where_streams_part_is_measured_in_characters():
    outcome = tokens(["The ", "sky ", "is blue"], ["The sky ", "was red"])
    assert outcome.agrees is False
    assert outcome.measures["parts_primary"] == 3
    assert outcome.measures["parts_candidate"] == 2
    assert outcome.measures["first_divergence"] == 8
    assert outcome.measures["common_prefix"] == 8 / 15
    assert outcome.reason == '1 of 1 texts differ, first in output "text"'


def test_a_stream_that_stops_early_differs_where_it_stopped():
    outcome = tokens(["a", "b", "c"], ["a", "b"])
    assert outcome.agrees is False
    assert outcome.measures["first_divergence"] == 2


def test_the_texts_rule_decides():
    assert tokens(["The sky ", "is blue."], ["The sky is ", "blue!"], max_edit="10%").agrees


def test_an_empty_part_at_the_end_is_no_part():
    primary = [*stream("text", "a", "b")[:1], part(final=False, text="b"), part()]
    outcome = compared(primary, unary(text="ab"), kind="tokens")
    assert outcome.agrees
    assert outcome.measures["parts_primary"] == 2


def chunks(*contents):
    """A streamed chat as backends tell it: chunks, then an empty last part."""
    said = [{"choices": [{"index": 0, "delta": {"content": each}}]} for each in contents]
    return [Part(Chat(each), "1", {}, False) for each in said] + [Part(Tensors(()), "1", {}, True)]


def test_streamed_chats_are_compared_by_what_they_say():
    assert compared(chunks("The ", "sky"), chunks("The sky"), kind="auto").agrees
    outcome = compared(chunks("The ", "sky"), chunks("The sun"), kind="auto")
    assert outcome.agrees is False
    assert outcome.measures["first_divergence"] == 5
