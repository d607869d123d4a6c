"""Streamed replies: which texts their parts carry pieces of, and how a part says something else.

A channel is one text that comes in pieces: an element of a BYTES tensor, or one field of one choice
of OpenAI's chunks. Every other string in a chunk stands for itself.
"""

from collections.abc import Callable, Mapping
from typing import Any

from protos.arrays import join_bytes, split_bytes
from protos.errors import Kind, PenstockError
from protos.values import Chat, OpenAi, Payload, Prompt, Tensor, Tensors
from protos.wording import quote

# (tensor, index), or in OpenAI's chunks (choice, field) or (choice, TOOLS, call).
Channel = tuple[str | int, ...]

TOOLS = "tool_calls"  # arguments of tools, which are JSON
FUNCTION = "function_call"  # the same in the form that was before it
TEXT = "text"  # of completions
FIELDS = ("content", "refusal", "reasoning_content", "reasoning")

# Strings that stand for themselves in each chunk.
_WHOLE = frozenset(
    {
        *("id", "object", "model", "system_fingerprint", "service_tier", "obfuscation"),
        *("finish_reason", "stop_reason", "matched_stop", "role", "type", "name"),
    }
)

# Of a channel (None for a string of its own) and a text (None for bytes that are not UTF-8): what
# to write instead, None to leave it.
Visit = Callable[[Channel | None, str | None], str | None]


def rewritten(payload: Payload, visit: Visit) -> Payload:
    """The part with what `visit` gives for each text, in one order for equal parts.

    Raises BAD_REPLY for a chunk with text where nobody could say which text it goes on.
    """
    if isinstance(payload, Tensors):
        return Tensors(tuple([_tensor(each, visit) for each in payload.tensors]), payload.wanted)
    if not isinstance(payload, Chat | Prompt):
        raise _unknown("data")
    body = dict(payload.body)
    choices = body.pop("choices", None)
    made = _whole(body, visit)
    if choices is not None:
        made["choices"] = [_choice(each, at, visit) for at, each in enumerate(_list(choices))]
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
    """A part that says just this; `like` is a part of the same reply that had these channels."""
    if isinstance(like, Tensors):
        names = {channel[0] for channel in said}
        return Tensors(
            tuple([_tensor_of(each, said) for each in like.tensors if each.name in names]),
            like.wanted,
        )
    body = {key: value for key, value in like.body.items() if key not in ("choices", "usage")}
    body["choices"] = [_choice_of(channel, text) for channel, text in said.items()]
    return type(like)(body)


def _tensor(tensor: Tensor, visit: Visit) -> Tensor:
    if tensor.datatype != "BYTES":
        return tensor
    before = split_bytes(tensor.data)
    after: list[bytes] = []
    for index, element in enumerate(before):
        try:
            text: str | None = element.decode()
        except UnicodeDecodeError:
            text = None
        written = visit((tensor.name, index), text)
        after.append(element if written is None else written.encode())
    if after == before:
        return tensor
    return Tensor(tensor.name, tensor.datatype, tensor.shape, join_bytes(after))


def _tensor_of(like: Tensor, said: Mapping[Channel, str]) -> Tensor:
    count = len(split_bytes(like.data))
    elements = [said.get((like.name, index), "").encode() for index in range(count)]
    return Tensor(like.name, like.datatype, like.shape, join_bytes(elements))


def _choice(value: Any, at: int, visit: Visit) -> dict[str, Any]:
    choice = dict(_dict(value))
    index = _index(choice, at)
    made: dict[str, Any] = {}
    if isinstance(choice.get(TEXT), str):
        made[TEXT] = _written(visit((index, TEXT), choice[TEXT]), choice.pop(TEXT))
    if choice.get("delta") is not None:
        made["delta"] = _delta(_dict(choice.pop("delta")), index, visit)
    return {**_whole(choice, visit), **made}


def _delta(value: dict[str, Any], choice: int, visit: Visit) -> dict[str, Any]:
    delta = dict(value)
    made: dict[str, Any] = {}
    for field in FIELDS:
        if isinstance(delta.get(field), str):
            made[field] = _written(visit((choice, field), delta[field]), delta.pop(field))
    if delta.get(TOOLS) is not None:
        made[TOOLS] = [
            _call(_dict(each), choice, at, visit) for at, each in enumerate(_list(delta.pop(TOOLS)))
        ]
    if delta.get(FUNCTION) is not None:
        made[FUNCTION] = _function(_dict(delta.pop(FUNCTION)), (choice, FUNCTION), visit)
    return {**_whole(delta, visit), **made}


def _call(value: dict[str, Any], choice: int, at: int, visit: Visit) -> dict[str, Any]:
    call = dict(value)
    made: dict[str, Any] = {}
    if call.get("function") is not None:
        channel = (choice, TOOLS, _index(call, at))
        made["function"] = _function(_dict(call.pop("function")), channel, visit)
    return {**_whole(call, visit), **made}


def _function(value: dict[str, Any], channel: Channel, visit: Visit) -> dict[str, Any]:
    function = dict(value)
    made: dict[str, Any] = {}
    if isinstance(function.get("arguments"), str):
        arguments = function.pop("arguments")
        made["arguments"] = _written(visit(channel, arguments), arguments)
    return {**_whole(function, visit), **made}


def _whole(value: dict[str, Any], visit: Visit) -> dict[str, Any]:
    return {key: _own(inner, key, visit) for key, inner in value.items()}


def _own(value: Any, key: str, visit: Visit) -> Any:
    if isinstance(value, str):
        if not value:
            return value
        if key not in _WHOLE:
            raise _unknown(key)
        return _written(visit(None, value), value)
    if isinstance(value, dict):
        return _whole(value, visit)
    if isinstance(value, list):
        return [_own(each, key, visit) for each in value]
    return value


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


def _written(new: str | None, old: str) -> str:
    return old if new is None else new


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
