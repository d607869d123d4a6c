"""What is checked of a request to OpenAI's API, and what is left to the model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.errors import Kind, PenstockError
from protos.openai.request import MAX_INPUTS, chat, embedding, encoding_of, prompt

HELLO = {"role": "user", "content": "hello"}
CHAT = {"model": "m", "messages": [HELLO]}
PROMPT = {"model": "m", "prompt": "Once"}
EMBEDDING = {"model": "m", "input": "text"}


def refused(read, body):
    with pytest.raises(PenstockError) as caught:
        read(body)
    assert caught.value.kind is Kind.INVALID
    return caught.value.param


def test_a_body_is_passed_on_as_it_is():
    body = {**CHAT, "temperature": 0.1, "chat_template_kwargs": {"thinking": False}}
    asked = chat(body, 99)
    assert asked.payload.body is body
    assert (asked.payload.size, asked.model) == (99, "m")
    assert (asked.streaming, asked.usage) == (False, False)


def test_a_stream_may_be_asked_to_end_with_what_it_took():
    assert chat({**CHAT, "stream": True}).usage is False
    asked = chat({**CHAT, "stream": True, "stream_options": {"include_usage": True}})
    assert (asked.streaming, asked.usage) == (True, True)
    assert prompt({**PROMPT, "stream": None, "stream_options": None}).streaming is False


def test_a_generation_may_name_its_priority():
    assert chat({**CHAT, "priority": 3}).priority == 3
    assert prompt({**PROMPT, "priority": None}).priority == 0


@pytest.mark.parametrize(
    "message",
    [
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]},
        {"role": "assistant"},
        {"role": "tool", "content": [{"type": "text", "text": "42"}], "tool_call_id": "a"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]},
        {"role": "developer", "content": "", "name": "x", "unknown": 1},
    ],
)
def test_messages_of_every_kind_pass(message):
    assert chat({**CHAT, "messages": [message]})


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": 1}, "model"),
        ({"model": "m" * 257}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [HELLO, "hello"]}, "messages[1]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": {}}, "stream_options"),
        ({"stream": True, "stream_options": 1}, "stream_options"),
        (
            {"stream": True, "stream_options": {"include_usage": 1}},
            "stream_options.include_usage",
        ),
        (
            {"stream": True, "stream_options": {"continuous_usage_stats": "x"}},
            "stream_options.continuous_usage_stats",
        ),
        ({"stream": True, "stream_options": {"include_usages": True}}, "stream_options"),
        ({"priority": -1}, "priority"),
        ({"priority": "1"}, "priority"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens"),
        ({"max_tokens": 9.0}, "max_tokens"),
        ({"max_new_tokens": "9"}, "max_new_tokens"),
        ({"best_of": "9"}, "best_of"),
    ],
)
def test_a_chat_that_is_wrong_is_refused_naming_the_field(change, param):
    assert refused(chat, {**CHAT, **change}) == param


@pytest.mark.parametrize("texts", ["", "a", ["a", "b"], [1, 2, 3], [[1], [2, 3]]])
def test_texts_and_tokens_pass(texts):
    assert prompt({**PROMPT, "prompt": texts})
    assert embedding({**EMBEDDING, "input": texts})


@pytest.mark.parametrize(
    "texts", [None, 1, {}, [], ["a", 1], [1, "a"], [1.5], [True], [[]], [["a"]], [None]]
)
def test_anything_else_is_neither_text_nor_tokens(texts):
    assert refused(prompt, {**PROMPT, "prompt": texts}) == "prompt"
    assert refused(embedding, {**EMBEDDING, "input": texts}) == "input"


def test_a_request_has_a_bounded_number_of_texts_but_any_number_of_tokens():
    assert refused(embedding, {**EMBEDDING, "input": ["a"] * (MAX_INPUTS + 1)}) == "input"
    assert embedding({**EMBEDDING, "input": [7] * (MAX_INPUTS + 1)})


def test_embeddings_come_in_two_encodings():
    assert encoding_of(EMBEDDING) == "float"
    assert encoding_of({**EMBEDDING, "encoding_format": "base64"}) == "base64"
    assert refused(embedding, {**EMBEDDING, "encoding_format": "int8"}) == "encoding_format"
    assert refused(embedding, {**EMBEDDING, "dimensions": 0}) == "dimensions"


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from([chat, prompt, embedding]),
    st.dictionaries(
        st.sampled_from(["model", "messages", "prompt", "input", "stream", "stream_options", "n"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["role", "content", "type"]), inner, max_size=2)
            ),
        ),
    ),
)
def test_whatever_json_comes_is_taken_or_refused_by_a_field_that_there_is(read, body):
    assert _kind_of_refusal(read, body) in (None, Kind.INVALID)


def _kind_of_refusal(read, body):
    try:
        read(body)
    except PenstockError as error:
        return error.kind if error.param else Kind.INTERNAL
    return None
