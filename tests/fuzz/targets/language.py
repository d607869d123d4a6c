"""A language model's requests, by the first byte chats or completions, as its backend reads them.

Templates are the model's programs, and stumble over what messages have beside their text.
"""

from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

from backends.llm.prompts import is_long, prompts_of
from backends.llm.wishes import wishes_of
from protos.json_reader import read_object
from protos.openai import request
from tests.fuzz.refusing import refusing

LONGEST = 64  # tokens
# In the manner of those that call tools.
TEMPLATE = """
{%- if messages[0].role == "system" %}<|system|>{{ messages[0].content }}{% endif %}
{%- for message in messages %}<|{{ message.role + (message.name or "") }}|>
{%- set thought = (message.reasoning_content or "").split("</think>")[0].strip() %}
{{ message.content + thought }}
{%- for call in message.tool_calls or [] %}
{{ call.function.name + (call.function.arguments | tojson) + call["id"] }}
{%- endfor %}{% if not loop.last and messages[loop.index].role == message.role %}
{{ raise_exception("roles must alternate") }}{% endif %}{% endfor %}"""


class Letters:
    """A tokeniser of letters."""

    chat_template = TEMPLATE

    def apply_chat_template(self, messages: Any, **_: object) -> str:
        return ImmutableSandboxedEnvironment().from_string(TEMPLATE).render(messages=messages)

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}


def one(data: bytes) -> None:
    read = request.chat if not data[:1] or data[0] % 2 == 0 else request.prompt
    body = data[1:]
    with refusing():
        payload = read(read_object(body), len(body)).payload
        is_long(payload)
        wishes = wishes_of(payload)
        assert wishes.choices >= 1
        prompts = prompts_of(Letters(), payload, LONGEST)
        assert all(type(token) is int for prompt in prompts for token in prompt)
