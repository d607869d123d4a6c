"""Streamed replies: which texts their parts carry pieces of, and how a part says something else.

A channel is one text that comes in pieces: an element of a BYTES tensor, or one field of one choice
of OpenAI's chunks. Every other string in a chunk stands for itself, and so do keys that the API
doesn't have and long numbers.
"""

from collections.abc import Generator, Mapping
from typing import Any, TypeVar

from protos.arrays import join_bytes, split_bytes
from protos.errors import Kind, PenstockError
from protos.object_text import digits_of, signed
from protos.openai import fields
from protos.openai.fields import CLOSED, KEYS, SPELLING, Place
from protos.text import elements
from protos.values import Chat, OpenAi, Payload, Prompt, Tensor, Tensors
from protos.wording import quote

# (tensor, index), or in OpenAI's chunks (choice, field) or (choice, TOOLS, call); NAME may follow.
Channel = tuple[str | int, ...]

TOOLS = "tool_calls"  # arguments of tools, which are JSON
FUNCTION = "function_call"  # the same in the form that was before it
TEXT = "text"  # of completions
FIELDS = ("content", "refusal", "reasoning_content", "reasoning")

NAME = "name"  # of a tool, last in the channel of its arguments

# Strings that stand for themselves in each chunk.
_WHOLE = frozenset(
    {
        *("id", "object", "model", "system_fingerprint", "service_tier", "obfuscation"),
        *("finish_reason", "stop_reason", "matched_stop"),
    }
)

# What the chunks of a reply have in common.
_HEAD = frozenset({"id", "object", "created", "model", "system_fingerprint", "service_tier"})

# A channel (None for a string of its own) and its text (None for bytes that are not UTF-8).
Piece = tuple[Channel | None, str | None]
T = TypeVar("T")
Walk = Generator[Piece, str | None, T]


def rewriting(payload: Payload) -> Walk[Payload]:
    """Gives out each text, in one order for equal parts, and makes the part with the new ones.

    Sent for a text is what to write instead, None to leave it. What spells out a text is taken out.
    Raises BAD_REPLY for a chunk with text where nobody could say which text it goes on.
    """
    if isinstance(payload, Tensors):
        tensors: list[Tensor] = []
        for each in payload.tensors:
            tensor = yield from _tensor(each)
            tensors.append(tensor)
        return Tensors(tuple(tensors), payload.wanted)
    if not isinstance(payload, Chat | Prompt):
        raise _unknown("data")
    body = dict(payload.body)
    choices = body.pop("choices", None)
    made = yield from _whole(body, fields.TOP)
    if choices is not None:
        said: list[dict[str, Any]] = []
        for at, each in enumerate(_list(choices)):
            choice = yield from _choice(each, at)
            said.append(choice)
        made["choices"] = said
    return type(payload)(made)


def finished(payload: Payload) -> frozenset[int]:
    """The choices that end with this chunk."""
    if not isinstance(payload, OpenAi):
        return frozenset()
    choices = payload.body.get("choices")
    if not choices or not isinstance(choices, list):
        return frozenset()
    return frozenset(
        _index(each, at)
        for at, each in enumerate(choices)
        if isinstance(each, dict) and each.get("finish_reason") is not None
    )


def saying(like: Payload, said: Mapping[Channel, str]) -> Payload:
    """A part that says just this; `like` is a part of the same reply that had these channels.

    Of a chunk it has what all chunks of a reply have in common, and nothing else.
    """
    if isinstance(like, Tensors):
        names = {channel[0] for channel in said}
        return Tensors(
            tuple([_tensor_of(each, said) for each in like.tensors if each.name in names]),
            like.wanted,
        )
    body = {key: value for key, value in like.body.items() if key in _HEAD}
    body["choices"] = [_choice_of(channel, text) for channel, text in said.items()]
    return type(like)(body)


def _tensor(tensor: Tensor) -> Walk[Tensor]:
    if tensor.datatype != "BYTES":
        return tensor
    walk = elements(tensor)
    written: str | None = None
    while True:
        try:
            each = walk.send(written)
        except StopIteration as end:
            made: Tensor = end.value
            return made
        written = None if each is None else (yield (each.name, each.index), each.text)


def _tensor_of(like: Tensor, said: Mapping[Channel, str]) -> Tensor:
    count = len(split_bytes(like.data))
    elements = [said.get((like.name, index), "").encode() for index in range(count)]
    return Tensor(like.name, like.datatype, like.shape, join_bytes(elements))


def _choice(value: Any, at: int) -> Walk[dict[str, Any]]:
    choice = dict(_dict(value))
    index = _index(choice, at)
    made: dict[str, Any] = {}
    if isinstance(choice.get(TEXT), str):
        made[TEXT] = yield from _written((index, TEXT), choice.pop(TEXT))
    if choice.get("delta") is not None:
        made["delta"] = yield from _delta(_dict(choice.pop("delta")), index)
    return {**(yield from _whole(choice, fields.CHOICE)), **made}


def _delta(value: dict[str, Any], choice: int) -> Walk[dict[str, Any]]:
    delta = dict(value)
    made: dict[str, Any] = {}
    for field in FIELDS:
        if isinstance(delta.get(field), str):
            made[field] = yield from _written((choice, field), delta.pop(field))
    if delta.get(TOOLS) is not None:
        calls: list[dict[str, Any]] = []
        for at, each in enumerate(_list(delta.pop(TOOLS))):
            call = yield from _call(_dict(each), choice, at)
            calls.append(call)
        made[TOOLS] = calls
    if delta.get(FUNCTION) is not None:
        function = _dict(delta.pop(FUNCTION))
        made[FUNCTION] = yield from _function(function, (choice, FUNCTION))
    return {**(yield from _whole(delta, fields.MESSAGE)), **made}


def _call(value: dict[str, Any], choice: int, at: int) -> Walk[dict[str, Any]]:
    call = dict(value)
    made: dict[str, Any] = {}
    if call.get("function") is not None:
        channel = (choice, TOOLS, _index(call, at))
        made["function"] = yield from _function(_dict(call.pop("function")), channel)
    return {**(yield from _whole(call, fields.CALLS)), **made}


def _function(value: dict[str, Any], channel: Channel) -> Walk[dict[str, Any]]:
    function = dict(value)
    made: dict[str, Any] = {}
    if isinstance(function.get("arguments"), str):
        made["arguments"] = yield from _written(channel, function.pop("arguments"))
    if isinstance(function.get(NAME), str):
        made[NAME] = yield from _written((*channel, NAME), function.pop(NAME))
    return {**(yield from _whole(function, fields.NOWHERE)), **made}


def _whole(value: dict[str, Any], place: Place) -> Walk[dict[str, Any]]:
    made: dict[str, Any] = {}
    for key, inner in value.items():
        if key in SPELLING:
            made[key] = None
            continue
        name = key if key in KEYS else (yield from _written(None, key))
        new = inner
        if inner is not None and type(inner) is not bool:
            new = yield from _own(inner, key, name, place)
        if name in made:
            raise PenstockError(Kind.BAD_REPLY, "two keys of a chunk become one")
        made[name] = new
    return made


def _own(value: Any, key: str, name: str, place: Place) -> Walk[Any]:
    """`name` is how the key may be told."""
    if isinstance(value, str):
        if not value or value in CLOSED.get(key, ()):
            return value
        if key not in _WHOLE:
            raise _unknown(name)
        return (yield from _written(None, value))
    if isinstance(value, dict):
        return (yield from _whole(value, place.inner.get(key, fields.NOWHERE)))
    if isinstance(value, list):
        made = []
        for each in value:
            new = yield from _own(each, key, name, place)
            made.append(new)
        return made
    if isinstance(value, int | float) and key not in place.counts:
        digits = digits_of(value)
        if digits and (written := (yield from _written(None, digits))) != digits:
            return signed(value, written)
    return value


def _written(channel: Channel | None, text: str) -> Walk[str]:
    new = yield channel, text
    return text if new is None else new


def _choice_of(channel: Channel, text: str) -> dict[str, Any]:
    index, field = channel[0], channel[1]
    if field == TEXT:
        return {"index": index, "text": text, "logprobs": None, "finish_reason": None}
    if field == TOOLS:
        delta: dict[str, Any] = {TOOLS: [{"index": channel[2], "function": {"arguments": text}}]}
    elif field == FUNCTION:
        delta = {FUNCTION: {"arguments": text}}
    else:
        delta = {str(field): text}
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}


def _index(value: Mapping[str, Any], at: int) -> int:
    index = value.get("index", at)
    if not isinstance(index, int):
        raise _unknown("index")
    return index


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PenstockError(Kind.BAD_REPLY, "the model sent a chunk of another form than OpenAI's")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise PenstockError(Kind.BAD_REPLY, "the model sent a chunk of another form than OpenAI's")
    return value


def _unknown(key: str) -> PenstockError:
    return PenstockError(
        Kind.BAD_REPLY,
        f"the model sent a chunk with text under {quote(key)}, where no policy can follow it",
    )
