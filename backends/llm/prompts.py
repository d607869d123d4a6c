"""Prompts as tokens: chats by the model's own template, completions as they are."""

from typing import Any

from protos.errors import Kind, PenstockError, invalid
from protos.exchange_objects import bytes_of
from protos.values import Chat, JsonObject, OpenAi

# What takes some milliseconds to read, too long between others' tokens: bytes of the request's
# JSON, whatever stands in them, as a template may write any of it; and each message or prompt
# takes some time of its own.
LONG = 8192
MANY = 32
# Letters that a token hardly ever has on the average, by which texts are known that are too long.
LETTERS = 16


def is_long(payload: OpenAi) -> bool:
    """Whether reading it would keep others waiting."""
    found = payload.body["messages" if isinstance(payload, Chat) else "prompt"]
    texts = isinstance(found, list) and not (found and isinstance(found[0], int))
    return bytes_of(payload) > LONG or (texts and len(found) > MANY)


def prompts_of(tokeniser: Any, payload: OpenAi, longest: int) -> list[list[int]]:
    """The tokens of each prompt: one of a chat, one or more of a completion.

    Raises INVALID, also for texts that are far longer than `longest` tokens, not reading all of
    them.
    """
    if isinstance(payload, Chat):
        text = _rendered(tokeniser, payload.body)
        return [_tokens(tokeniser, text, longest, add_special_tokens=False)]
    prompt = payload.body["prompt"]
    if isinstance(prompt, str):
        return [_tokens(tokeniser, prompt, longest)]
    if prompt and all(type(each) is int for each in prompt):
        return [prompt]
    return [_tokens(tokeniser, each, longest) if isinstance(each, str) else each for each in prompt]


def _rendered(tokeniser: Any, body: JsonObject) -> str:
    if not tokeniser.chat_template:
        raise invalid("messages: this model has no chat template; ask it for completions")
    messages = [
        {**message, "content": _text(message.get("content"), f"messages[{at}].content")}
        for at, message in enumerate(body["messages"])
    ]
    try:
        text: str = tokeniser.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
    except Exception:
        # A template is a program of the model's, and messages have fields of any kind: besides its
        # own errors it raises what Python does, as for `tool_calls` that are a number. What it says
        # may be anything, a message's text included.
        what = "messages: the model's chat template doesn't take them (their roles or order)"
        raise invalid(what, param="messages") from None
    return text


def _text(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [str(each["text"]) for each in parts if isinstance(each, dict) and _is_text(each)]
    if len(texts) < len(parts):
        raise invalid(f"{where}: this model takes text alone", param=where)
    return "".join(texts)


def _is_text(part: JsonObject) -> bool:
    return part.get("type") == "text" and isinstance(part.get("text"), str)


def _tokens(tokeniser: Any, text: str, longest: int, **how: bool) -> list[int]:
    if len(text) > LETTERS * longest:
        beginning = tokeniser(text[: LETTERS * longest], **how)["input_ids"]
        # Twice as many, since a text that goes on may have other tokens where it was cut.
        if len(beginning) > 2 * longest:
            raise PenstockError(
                Kind.INVALID,
                f"the prompt has far more than {longest} tokens, the most that have room here",
                code="context_length_exceeded",
            )
    tokens: list[int] = tokeniser(text, **how)["input_ids"]
    return tokens
