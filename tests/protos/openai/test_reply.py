"""Answers leave in the name of the model that was asked for, and no fuller than they were asked."""

import orjson
import pytest

from protos.errors import Kind, PenstockError, invalid
from protos.openai.reply import DONE, encode_event, encode_reply, error_event
from protos.openai.request import Asked
from protos.values import Chat, Part, Prompt, Tensors

ASKED = Asked(Chat({}), "public", streaming=True)
WITH_USAGE = Asked(Chat({}), "public", streaming=True, usage=True)
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
SAID = {"id": "1", "model": "org/upstream", "choices": [{"index": 0, "delta": {"content": "a"}}]}


def part(payload, final=False):
    return Part(payload, "1", {}, final)


def data(event):
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    return orjson.loads(event[6:])


def test_an_answer_bears_the_name_that_was_asked_for():
    answer = {"model": "org/upstream", "choices": [], "usage": USAGE}
    asked = Asked(Chat({}), "public")
    expected = {"model": "public", "choices": [], "usage": USAGE}
    assert orjson.loads(encode_reply(asked, part(Chat(answer), final=True))) == expected
    assert answer["model"] == "org/upstream"  # which others may still read


def test_a_chunk_tells_what_it_took_only_if_that_was_asked():
    said = {**SAID, "usage": None}
    assert "usage" not in data(encode_event(ASKED, part(Chat(said))))
    assert data(encode_event(WITH_USAGE, part(Chat(said))))["usage"] is None
    assert data(encode_event(WITH_USAGE, part(Chat(said))))["model"] == "public"
    finished = {**SAID, "usage": USAGE}
    assert data(encode_event(ASKED, part(Chat(finished))))["choices"] == SAID["choices"]


def test_a_chunk_of_nothing_but_usage_is_for_those_who_asked():
    only = part(Chat({"choices": [], "usage": USAGE}))
    assert encode_event(ASKED, only) == b""
    assert data(encode_event(WITH_USAGE, only))["usage"] == USAGE


def test_the_empty_last_part_is_no_event():
    assert encode_event(ASKED, part(Tensors(()), final=True)) == b""


def test_an_answer_to_something_else_is_a_bad_reply():
    for payload in (Prompt(SAID), Tensors(())):
        with pytest.raises(PenstockError) as caught:
            encode_reply(ASKED, part(payload))
        assert caught.value.kind is Kind.BAD_REPLY


def test_a_stream_ends_with_done_or_with_an_error():
    assert DONE == b"data: [DONE]\n\n"
    assert data(error_event(invalid("n: is wrong", param="n")))["error"]["param"] == "n"
