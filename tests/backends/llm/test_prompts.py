"""Which prompts are read aside, and which are no text."""

import orjson
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from backends.llm.prompts import LETTERS, LONG, MANY, is_long, prompts_of
from protos.errors import Kind, PenstockError
from protos.values import Chat, Prompt


class Letters:
    """A tokeniser of letters whose template is the messages' contents; how long texts were."""

    chat_template = "contents"

    def __init__(self):
        self.read = []

    def apply_chat_template(self, messages, **_):
        return "".join(message["content"] for message in messages)

    def __call__(self, text, **_):
        self.read.append(len(text))
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
    assert prompts_of(Letters(), chat({"content": parts}), 8) == [[97, 98]]


@pytest.mark.parametrize(
    "content",
    [5, {}, [5], [{"type": "text", "text": 5}], [{"type": "text"}], [{"type": "image_url"}], ["a"]],
)
def test_whatever_is_no_text_is_the_client_s_mistake(content):
    with pytest.raises(
        PenstockError, match=r"messages\[0\].content: this model takes text alone"
    ) as no:
        prompts_of(Letters(), chat({"content": content}), 8)
    assert no.value.kind is Kind.INVALID


@pytest.mark.parametrize(
    "payload", [chat({"content": "a" * 10**6}), Prompt({"prompt": "a" * 10**6})]
)
def test_of_what_is_far_too_long_the_beginning_is_read_alone(payload):
    letters = Letters()
    with pytest.raises(PenstockError, match="far more than 100 tokens") as no:
        prompts_of(letters, payload, 100)
    assert (no.value.kind, no.value.code) == (Kind.INVALID, "context_length_exceeded")
    assert letters.read == [100 * LETTERS]


def test_long_texts_of_few_tokens_are_read_whole():
    class Words(Letters):
        def __call__(self, text, **_):
            return {"input_ids": [len(word) for word in text.split()]}

    assert prompts_of(Words(), Prompt({"prompt": "a" * 9000 + " b"}), 8) == [[9000, 1]]


TEMPLATE = """
{%- for message in messages %}<|{{ message.role + (message.name or "") }}|>{{ message.content }}
{%- for call in message.tool_calls or [] %}{{ call.function.name + call.function.arguments }}
{%- endfor %}{{ (message.reasoning or "").strip().split("x")[0] }}{% endfor %}"""


class Templated(Letters):
    """Templates as transformers runs them."""

    chat_template = TEMPLATE

    def apply_chat_template(self, messages, **_):
        return ImmutableSandboxedEnvironment().from_string(TEMPLATE).render(messages=messages)


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_calls": 5},
        {"tool_calls": True},
        {"tool_calls": "text"},
        {"tool_calls": [5]},
        {"tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
        {"tool_calls": [{"function": None}]},
        {"name": 5},
        {"reasoning": [1]},
    ],
    ids=str,
)
def test_messages_that_a_template_stumbles_over_are_the_clients_fault(fields):
    with pytest.raises(PenstockError, match="chat template doesn't take them") as caught:
        prompts_of(Templated(), chat({"content": "a", **fields}), 1000)
    assert caught.value.kind is Kind.INVALID
    assert prompts_of(Templated(), chat({"content": "a"}), 1000)
