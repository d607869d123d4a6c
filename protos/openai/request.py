"""What the gateway must know of a request to OpenAI's API; all else in it is the model's affair.

Bodies come from the one JSON parser of all faces (protos/json_reader.py). What is checked here is
what routing, limits and policies read; every other field is passed on, known or not, and the model
server says what it thinks of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from protos.errors import PenstockError, invalid
from protos.names import MAX_CHARACTERS
from protos.schedule import MAX_PRIORITY
from protos.usage import MAXIMA
from protos.values import Chat, Embedding, JsonObject, Prompt
from protos.wording import did_you_mean, quote

MAX_CHOICES = 128
MAX_INPUTS = 2048  # texts to embed, or prompts to complete, in one request
# Known to OpenAI or vLLM. What a stream took is told at its end, whichever of them is set, and its
# chunks are as long as they are.
STREAM_OPTIONS = frozenset({"include_usage", "continuous_usage_stats", "include_obfuscation"})
ROLES = frozenset({"developer", "system", "user", "assistant", "tool", "function"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its body says it; `usage`: a stream is to end with what it took.

    `priority` is that of `protos.schedule`: 1 is the highest, 0 none.
    """

    payload: Chat | Prompt | Embedding
    model: str
    streaming: bool = False
    usage: bool = False
    priority: int = 0


def chat(body: JsonObject, size: int = 0) -> Asked:
    """Of `/v1/chat/completions`, read from `size` bytes.

    Raises INVALID with the field at fault as its `param`.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", "must be a list that is not empty")
    for at, message in enumerate(messages):
        _message(message, f"messages[{at}]")
    _count(body, "max_completion_tokens", 1)
    _count(body, "max_tokens", 1)
    return _generation(Chat(body, size), body)


def prompt(body: JsonObject, size: int = 0) -> Asked:
    """Of `/v1/completions`; as `chat`."""
    _texts(body, "prompt")
    return _generation(Prompt(body, size), body)


def embedding(body: JsonObject, size: int = 0) -> Asked:
    """Of `/v1/embeddings`; as `chat`."""
    _texts(body, "input")
    encoding_of(body)
    _count(body, "dimensions", 1)
    return Asked(Embedding(body, size), _model(body))


Read = Callable[[JsonObject, int], Asked]


def encoding_of(body: JsonObject) -> Literal["float", "base64"]:
    """How embeddings are wanted."""
    match body.get("encoding_format"):
        case None | "float":
            return "float"
        case "base64":
            return "base64"
    raise _wrong("encoding_format", 'must be "float" or "base64"')


def _generation(payload: Chat | Prompt, body: JsonObject) -> Asked:
    model = _model(body)
    streaming = _flag(body, "stream", "stream")
    _count(body, "n", 1, MAX_CHOICES)
    _count(body, "best_of", 1, MAX_CHOICES)
    for field in MAXIMA:  # servers know one or the other, and limits take the largest
        _count(body, field, 0)
    usage = _usage(body, streaming)
    return Asked(payload, model, streaming, usage, _priority(body))


def _usage(body: JsonObject, streaming: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise _wrong("stream_options", "must be an object")
    if not streaming:
        raise _wrong("stream_options", 'is only for requests with "stream": true')
    for name in options:
        if name not in STREAM_OPTIONS:
            hint = did_you_mean(name, sorted(STREAM_OPTIONS))
            raise _wrong("stream_options", f"{quote(name)} isn't known{hint}")
        _flag(options, name, f"stream_options.{name}")
    return options.get("include_usage") is True


def _priority(body: JsonObject) -> int:
    """vLLM's field, which means here what it means on the other faces."""
    _count(body, "priority", 0, MAX_PRIORITY)
    return body.get("priority") or 0


def _model(body: JsonObject) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise _wrong("model", "must be a string that is not empty")
    if len(model) > MAX_CHARACTERS:
        raise _wrong("model", f"is longer than {MAX_CHARACTERS} characters")
    return model


def _message(message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise _wrong(where, "must be an object")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise _wrong(f"{where}.role", f"must be one of {', '.join(sorted(ROLES))}")
    content = message.get("content")
    if isinstance(content, list):
        for at, part in enumerate(content):
            if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                raise _wrong(f"{where}.content[{at}]", "must be an object with a type")
    elif content is not None and not isinstance(content, str):
        raise _wrong(f"{where}.content", "must be a string, a list of parts, or null")


def _texts(body: JsonObject, field: str) -> None:
    """A text, tokens, or several of either."""
    value = body.get(field)
    if isinstance(value, str):
        return
    if not isinstance(value, list) or not value:
        raise _wrong(field, "must be a string, or a list that is not empty")
    if _is_tokens(value):
        return
    if len(value) > MAX_INPUTS:
        raise _wrong(field, f"has {len(value)} elements, at most {MAX_INPUTS} are taken")
    if not (
        all(isinstance(each, str) for each in value)
        or all(isinstance(each, list) and each and _is_tokens(each) for each in value)
    ):
        raise _wrong(field, "must hold strings, or tokens, or lists of tokens, and nothing else")


def _is_tokens(value: list[Any]) -> bool:
    return all(type(each) is int for each in value)


def _count(body: JsonObject, field: str, least: int, most: int | None = None) -> None:
    value = body.get(field)
    if value is None:
        return
    if type(value) is not int or value < least or (most is not None and value > most):
        bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise _wrong(field, f"must be a whole number {bounds}")


def _flag(body: JsonObject, field: str, where: str) -> bool:
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise _wrong(where, "must be true or false")
    return value is True


def _wrong(where: str, what: str) -> PenstockError:
    return invalid(f"{where}: {what}", param=where)
