"""A model server's stream is read however it is cut, and known to be whole or not."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.errors import Kind, PenstockError
from protos.openai.chunks import Chunks


def chunk(text="", finish=None, index=0):
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def events(*chunks, done=True):
    data = b"".join(b"data: %s\n\n" % orjson.dumps(each) for each in chunks)
    return data + (b"data: [DONE]\n\n" if done else b"")


def read(data, end=True):
    chunks = Chunks()
    found = chunks.feed(data)
    if end:
        chunks.end()
    return found


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 400), max_size=12))
def test_how_the_bytes_are_cut_makes_no_difference(cuts):
    whole = [chunk("é"), chunk("b"), chunk(finish="stop")]
    data = events(*whole)
    at = sorted(min(cut, len(data)) for cut in cuts)
    chunks = Chunks()
    pieces = zip([0, *at], [*at, len(data)], strict=True)
    found = [each for a, b in pieces for each in chunks.feed(data[a:b])]
    chunks.end()
    assert found == whole


def test_a_server_needs_not_say_done_if_it_said_why_it_finished():
    assert len(read(events(chunk("a"), chunk(finish="stop"), done=False))) == 2
    usage = {"choices": [], "usage": {"total_tokens": 3}}
    assert len(read(events(chunk("a", finish="length"), usage, done=False))) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        events(chunk("a"), done=False),
        events(chunk("a", finish="stop"), chunk("b", index=1), done=False),
        events(chunk("a", finish="stop"))[:-30],
    ],
)
def test_a_stream_that_is_cut_before_any_finish_is_an_error(data):
    with pytest.raises(PenstockError) as caught:
        read(data)
    assert caught.value.kind is Kind.BAD_REPLY


def test_what_comes_after_done_is_not_read():
    chunks = Chunks()
    assert len(chunks.feed(events(chunk("a")) + events(chunk("b")))) == 1
    assert chunks.done
    assert chunks.feed(b"data: no JSON\n\n") == []


def test_an_error_in_the_stream_is_raised():
    with pytest.raises(PenstockError) as caught:
        read(events(chunk("a"), {"error": {"message": "?", "code": 429}}))
    assert caught.value.kind is Kind.OVERLOADED


@pytest.mark.parametrize(
    "data",
    ["{", "[]", "1", "{}", '{"choices": 1}', '{"choices": [1]}', '{"choices":[{"index":"0"}]}'],
)
def test_what_is_no_chunk_is_a_bad_reply(data):
    with pytest.raises(PenstockError) as caught:
        read(f"data: {data}\n\n".encode())
    assert caught.value.kind is Kind.BAD_REPLY
