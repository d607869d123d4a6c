"""The text in objects of OpenAI's API, found by construction: every string is text.

That holds for keys and for fields that nobody has heard of yet as well. What is passed over are
values of closed sets (roles, types), the model's name, which the gateway has looked up, and numbers
of few digits; a long whole number may be anybody's, and is text too.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from protos.values import Embedding, OpenAi

# Of the key that a text stands under, the text (None for what can't be read), and whether it is a
# key itself. Gives what to write instead, None to leave it.
Visit = Callable[[str, str | None, bool], str | None]
Object = TypeVar("Object", bound=OpenAi)

# Values that name a form and not a thing; under other keys they are text like any other.
_CLOSED: dict[str, frozenset[str]] = {
    "role": frozenset({"system", "developer", "user", "assistant", "tool", "function"}),
    "type": frozenset(
        {
            *("text", "image_url", "input_audio", "file", "refusal", "function", "custom"),
            *("json_object", "json_schema", "string", "number", "integer", "boolean", "object"),
            *("array", "null", "content", "allowed_tools"),
        }
    ),
    "object": frozenset(
        {
            *("chat.completion", "chat.completion.chunk", "text_completion"),
            *("list", "embedding"),
        }
    ),
    "finish_reason": frozenset(
        {"stop", "length", "tool_calls", "content_filter", "function_call", "abort"}
    ),
    "encoding_format": frozenset({"float", "base64"}),
    "detail": frozenset({"auto", "low", "high"}),
    "tool_choice": frozenset({"none", "auto", "required"}),
}
# Numbers that the API counts, dates or names tokens with.
_NUMBERS = """
    created seed max_tokens max_completion_tokens min_tokens n top_k dimensions index prompt_tokens
    completion_tokens total_tokens cached_tokens reasoning_tokens stop_token_ids
"""
_COUNTS = frozenset(_NUMBERS.split())
# Keys of the API itself; others are written by people, as those of metadata and of schemas are.
_WORDS = """
    model messages role content name type text image_url url detail input_audio data format file
    file_data file_id filename tool_calls tool_call_id id function arguments prompt suffix echo
    best_of input encoding_format user metadata store stop stream stream_options include_usage
    include_obfuscation temperature top_p min_p presence_penalty frequency_penalty
    repetition_penalty logit_bias logprobs top_logprobs tools tool_choice description parameters
    parallel_tool_calls response_format json_schema schema strict properties required
    additionalProperties items enum service_tier reasoning_effort verbosity modalities prediction
    safety_identifier prompt_cache_key choices message delta finish_reason stop_reason refusal
    reasoning_content reasoning annotations audio usage prompt_tokens_details
    completion_tokens_details object system_fingerprint embedding function_call functions
    chat_template_kwargs ignore_eos
"""
_KEYS = _COUNTS | frozenset(_WORDS.split())
_SMALL = 100_000  # no identifier has fewer than six digits

# Bytes in the form of text, by the key and the one around it.
_BINARY = {
    "data": frozenset({"input_audio", "audio"}),
    "file_data": frozenset({"file"}),
}
_TOKENS = ("prompt", "input")  # may be lists of token ids: text that only the model can read


def rewritten(payload: Object, visit: Visit, *, reply: bool = False) -> Object:
    """The object with what `visit` gives for each text, in one order for equal objects.

    In a reply the vectors of embeddings are passed over, in whatever encoding. What doesn't change
    is shared with the old object, which is the result if nothing does. Raises ValueError where two
    keys of an object become the same.
    """
    passed = "data" if reply and isinstance(payload, Embedding) else None
    body: dict[str, Any] = {}
    changed = False
    for key, value in payload.body.items():
        if key == passed or (key == "model" and type(value) is str):
            new = value
        elif key in _TOKENS and _token_ids(value):
            visit(key, None, False)
            new = value
        else:
            new = _value(value, key, "", visit)
        name = _key(key, visit)
        changed = changed or new is not value or name is not key
        _put(body, name, new)
    return type(payload)(body, payload.size) if changed else payload


def _value(value: Any, key: str, around: str, visit: Visit) -> Any:
    kind = type(value)
    if kind is str:
        return _string(value, key, around, visit)
    if kind is dict:
        return _object(value, key, visit)
    if kind is list:
        new = [_value(each, key, around, visit) for each in value]
        same = all(after is before for after, before in zip(new, value, strict=True))
        return value if same else new
    if kind is int and not -_SMALL < value < _SMALL and key not in _COUNTS:
        written = visit(key, str(value), False)
        # A placeholder has no other form in JSON than a string.
        return value if written is None or written == str(value) else written
    return value


def _string(value: str, key: str, around: str, visit: Visit) -> str:
    closed = _CLOSED.get(key)
    if closed is not None and value in closed:
        return value
    text: str | None = value
    if value[:5].lower() == "data:" or around in _BINARY.get(key, ()):
        text, key = None, around or key
    written = visit(key, text, False)
    return value if written is None or written == value else written


def _object(value: dict[str, Any], around: str, visit: Visit) -> dict[str, Any]:
    made: dict[str, Any] = {}
    changed = False
    for key, inner in value.items():
        new = _value(inner, key, around, visit)
        name = _key(key, visit)
        changed = changed or new is not inner or name is not key
        _put(made, name, new)
    return made if changed else value


def _key(key: str, visit: Visit) -> str:
    if key in _KEYS:
        return key
    written = visit("", key, True)
    return key if written is None or written == key else written


def _put(made: dict[str, Any], key: str, value: Any) -> None:
    if key in made:
        raise ValueError("two keys of an object become one")
    made[key] = value


def _token_ids(value: Any) -> bool:
    return isinstance(value, list) and any(not isinstance(each, str) for each in value)
