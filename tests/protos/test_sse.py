"""Event streams: framed so that nothing is lost, read the same however they are cut."""

from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import sse
from protos.errors import Kind, PenstockError
from protos.sse import Event, Parser
from tests.protos.any_tensors import texts

lines = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data",
        b"data:  two spaces",
        b"event: e",
        b"id: 7",
        b"id: \0",
        b": comment",
        b"retry: 5",
        b"unknown: x",
        "data: é😀".encode(),
        b"",
        b"",
    ]
)


def read(pieces):
    parser = Parser()
    return [event for piece in pieces for event in parser.feed(piece)]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=12),
    st.booleans(),
    st.data(),
)
def test_how_a_stream_is_cut_makes_no_difference(parts, mark, data):
    stream = b"\xef\xbb\xbf" * mark + b"".join(line + end for line, end in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    bounds = [0, *cuts, len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(bounds)]
    assert read(pieces) == read([stream])
    assert read(bytes([byte]) for byte in stream) == read([stream])


@settings(deadline=None, max_examples=100)
@given(st.lists(texts, max_size=5))
def test_what_is_encoded_is_read_back(payloads):
    stream = b"".join(sse.encode(text.encode()) for text in payloads)
    expected = [text.replace("\r\n", "\n").replace("\r", "\n") for text in payloads]
    assert [event.data for event in read([stream])] == expected


def test_every_line_of_the_data_is_a_line_of_the_event():
    assert sse.encode(b"a\nb\r\nc", b"e") == b"event: e\ndata: a\ndata: b\ndata: c\n\n"


def test_fields_are_those_of_the_standard():
    stream = b"\xef\xbb\xbf: hello\nid: 1\nevent: add\ndata: a\ndata:b\n\ndata: c\n\nevent: no\n\n"
    assert read([stream]) == [Event("a\nb", "add", "1"), Event("c", "message", "1")]


def test_an_event_without_its_blank_line_is_none():
    assert read([b"data: a\n\ndata: b\n"]) == [Event("a")]


def test_bytes_that_are_no_utf8_are_a_bad_reply():
    with pytest.raises(PenstockError) as caught:
        read([b"data: \xff\n\n"])
    assert caught.value.kind is Kind.BAD_REPLY


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: x\n" * 20])
def test_an_endless_event_is_a_bad_reply(monkeypatch, piece):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    parser = Parser()
    with pytest.raises(PenstockError) as caught:
        deque(map(parser.feed, [piece] * 100), maxlen=0)
    assert caught.value.kind is Kind.BAD_REPLY
