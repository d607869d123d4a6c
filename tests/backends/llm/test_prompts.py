"""Which prompts are read aside, and which are no text."""

import orjson
import pytest

from backends.llm.prompts import LONG, MANY, is_long, prompts_of
from protos.errors import Kind, PenstockError
from protos.values import Chat, Prompt


class Letters:
    """A tokeniser of letters whose template is the messages' contents."""

    chat_template = "contents"

    def apply_chat_template(self, messages, **_):
        return "".join(message["content"] for message in messages)

    def __call__(self, text, **_):
        return {"input_ids": [ord(letter) for letter in text]}


def chat(*messages):
    body = {"messages": [{"role": "user", **each} for each in messages]}
    return Chat(body, len(orjson.dumps(body)))


@pytest.mark.parametrize(
    "payload",
    [
        chat({"content": "a" * LONG}),
        chat({"content": "a", "name": "b" * LONG}),
        chat({"content": "", "tool_calls": [{"function": {"arguments": "c" * LONG}}]}),
        chat(*[{"content": ""}] * (MANY + 1)),
        Prompt({"prompt": ["a"] * (MANY + 1)}, 100),
        Prompt({"prompt": "a" * LONG}),
    ],
)
def test_what_takes_long_to_read_is_long_wherever_it_stands(payload):
    assert is_long(payload)


@pytest.mark.parametrize(
    "payload", [chat({"content": "a"}), Prompt({"prompt": [1] * (MANY + 1)}, 100)]
)
def test_short_ones_are_read_at_once(payload):
    assert not is_long(payload)


def test_parts_of_text_are_one_text():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert prompts_of(Letters(), chat({"content": parts})) == [[97, 98]]


@pytest.mark.parametrize(
    "content",
    [5, {}, [5], [{"type": "text", "text": 5}], [{"type": "text"}], [{"type": "image_url"}], ["a"]],
)
def test_whatever_is_no_text_is_the_client_s_mistake(content):
    with pytest.raises(
        PenstockError, match=r"messages\[0\].content: this model takes text alone"
    ) as no:
        prompts_of(Letters(), chat({"content": content}))
    assert no.value.kind is Kind.INVALID
