"""Prompts as tokens: chats by the model's own template, completions as they are."""

from typing import Any

from jinja2 import TemplateError

from protos.errors import invalid
from protos.values import Chat, JsonObject, OpenAi

# Characters of text and template that take some milliseconds: too long between others' tokens.
LONG = 8192


def is_long(payload: OpenAi) -> bool:
    """Whether reading it would keep others waiting."""
    if isinstance(payload, Chat):
        return sum(map(_length, payload.body["messages"])) > LONG
    prompt = payload.body["prompt"]
    if isinstance(prompt, str):
        return len(prompt) > LONG
    return sum(len(each) for each in prompt if isinstance(each, str)) > LONG


def _length(message: JsonObject) -> int:
    content = message.get("content")
    if content is None or isinstance(content, str):
        return len(content or "")
    return sum(len(part.get("text") or "") for part in content)


def prompts_of(tokeniser: Any, payload: OpenAi) -> list[list[int]]:
    """The tokens of each prompt: one of a chat, one or more of a completion; raises INVALID."""
    if isinstance(payload, Chat):
        return [_chat(tokeniser, payload.body)]
    prompt = payload.body["prompt"]
    if isinstance(prompt, str):
        return [_tokens(tokeniser, prompt)]
    if prompt and all(type(each) is int for each in prompt):
        return [prompt]
    return [_tokens(tokeniser, each) if isinstance(each, str) else each for each in prompt]


def _chat(tokeniser: Any, body: JsonObject) -> list[int]:
    if not tokeniser.chat_template:
        raise invalid("messages: this model has no chat template; ask it for completions")
    messages = [
        {**message, "content": _text(message.get("content"), f"messages[{at}].content")}
        for at, message in enumerate(body["messages"])
    ]
    try:
        text = tokeniser.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except TemplateError:
        # What the template says may be anything, a message's text included.
        what = "messages: the model's chat template doesn't take them (their roles or order)"
        raise invalid(what, param="messages") from None
    tokens: list[int] = tokeniser(text, add_special_tokens=False)["input_ids"]
    return tokens


def _text(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in content if part.get("type") == "text"]
    if len(texts) < len(content) or not all(isinstance(text, str) for text in texts):
        raise invalid(f"{where}: this model takes text alone", param=where)
    return "".join(texts)


def _tokens(tokeniser: Any, text: str) -> list[int]:
    tokens: list[int] = tokeniser(text)["input_ids"]
    return tokens
