"""Every string of an OpenAI object is text, whatever the object is made of."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.found_text import Text
from protos.object_text import rewriting
from protos.text import texts
from protos.values import Chat, Embedding, OpenAi, Prompt
from tests.protos.walking import changed, with_texts

KEYS = st.one_of(
    st.text("abc", max_size=3),
    st.sampled_from(["model", "role", "type", "content", "messages", "data", "prompt", "input"]),
)
VALUES: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text("XYZ")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)
OBJECTS = st.builds(
    lambda kind, body: kind(body),
    st.sampled_from([Chat, Prompt, Embedding]),
    st.dictionaries(KEYS, VALUES, max_size=4),
)


@settings(deadline=None, max_examples=100)
@given(OBJECTS)
def test_texts_put_back_unchanged_change_nothing(payload: OpenAi) -> None:
    before = json.dumps(payload.body)
    assert with_texts(payload, [each.text for each in texts(payload)]) is payload  # type: ignore[arg-type]
    assert json.dumps(payload.body) == before


@settings(deadline=None, max_examples=100)
@given(OBJECTS)
def test_no_string_is_passed_over(payload: OpenAi) -> None:
    """All letters X, Y and Z are in strings that people write; replaced, none is left."""
    payload = type(payload)({key: value for key, value in payload.body.items() if key != "model"})
    unreadable = [each for each in texts(payload) if each.text is None]  # type: ignore[arg-type]
    after = changed(rewriting(payload), lambda each: None if each.key or each.text is None else "-")
    if not unreadable:
        assert not {*"XYZ"} & {*json.dumps(after.body)}


def test_closed_sets_small_numbers_and_the_models_name_are_no_text() -> None:
    body = {
        "model": "gpt",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "max_tokens": 4111111111111111,
        "n": 2,
        "temperature": 0.5,
    }
    assert list(texts(Chat(body))) == [Text("text", 0, "hello")]


def test_what_only_looks_like_a_form_is_text() -> None:
    body = {"messages": [{"role": "Bob", "type": "eve"}], "metadata": {"model": "Ann"}}
    assert [each.text for each in texts(Chat(body)) if not each.key] == ["Bob", "eve", "Ann"]


def test_keys_of_people_are_text_and_may_be_replaced() -> None:
    payload = Chat({"metadata": {"bob": {"eve": 1}}, "logit_bias": {"50256": -100}})
    assert [each.text for each in texts(payload) if each.key] == ["eve", "bob", "50256"]
    after = changed(rewriting(payload), lambda each: f"<{each.text}>" if each.key else None)
    assert after.body["metadata"] == {"<bob>": {"<eve>": 1}}


def test_keys_that_become_one_are_an_error() -> None:
    with pytest.raises(ValueError, match="become one"):
        changed(rewriting(Chat({"metadata": {"a": 1, "b": 2}})), lambda each: "c")


def test_long_whole_numbers_are_text_and_become_strings() -> None:
    payload = Chat({"x": [4111111111111111, 7, True]})
    assert [each.text for each in texts(payload) if not each.key] == ["4111111111111111"]
    after = changed(rewriting(payload), lambda each: None if each.key else "-")
    assert after.body == {"x": ["-", 7, True]}


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (Prompt({"prompt": [1, 2]}), "prompt"),
        (Prompt({"prompt": ["a", [1]]}), "prompt"),
        (Embedding({"input": [[1], [2]]}), "input"),
        (Chat({"messages": [{"image_url": {"url": "DATA:image/png;base64,AA"}}]}), "image_url"),
        (Chat({"messages": [{"input_audio": {"data": "AA", "format": "wav"}}]}), "input_audio"),
        (Chat({"messages": [{"file": {"file_data": "AA"}}]}), "file"),
    ],
)
def test_what_is_no_text_is_reported(payload: OpenAi, name: str) -> None:
    found = [each for each in texts(payload) if not each.key]  # type: ignore[arg-type]
    assert Text(name, 0, None) in found


def test_only_addresses_of_data_are_none() -> None:
    for content in ("data:image/png;base64,AA", "Data: my table"):
        payload = Chat({"messages": [{"content": content}]})
        assert [each.text for each in texts(payload)] == [content]
    for url in ("data: 1,2", "https://example.com", "data:text"):
        payload = Chat({"messages": [{"image_url": {"url": url}}]})
        assert [each.text for each in texts(payload)] == [url]


def test_prompts_and_inputs_of_strings_are_text() -> None:
    assert [each.text for each in texts(Prompt({"prompt": ["a", "b"]}))] == ["a", "b"]
    assert [each.text for each in texts(Embedding({"input": "a"}))] == ["a"]


def test_vectors_of_a_reply_are_passed_over_and_those_of_a_request_are_not() -> None:
    payload = Embedding({"data": [{"embedding": "AACAPw==", "index": 0}], "model": "m"})
    assert list(texts(payload, reply=True)) == []
    assert [each.text for each in texts(payload)] == ["AACAPw=="]
