"""What a request uses: rows, tokens and the device's time.

Tokens are those that the reply tells, as OpenAI's objects do in `usage`; OIP replies may tell them
in the parameters `prompt_tokens` and `completion_tokens`. A stream may tell them more than once, as
it goes: the last word counts. Where nothing is told, each part of a stream counts as one, and a
prompt as a quarter of its bytes.
"""

from collections.abc import Mapping
from typing import Any

from protos.errors import invalid
from protos.timeline import Used
from protos.values import (
    Chat,
    Embedding,
    InferRequest,
    OpenAi,
    Parameters,
    Part,
    Payload,
    Prompt,
    Tensors,
)

BYTES_A_TOKEN = 4  # of English with GPT's vocabularies, as OpenAI's documentation says
# What requests call the most tokens that an answer may have.
MAXIMA = ("max_completion_tokens", "max_tokens", "max_new_tokens", "max_output_tokens")
_LARGEST = 1 << 53  # more than any answer has; larger numbers are as good as this
# Of parts of a message that are no text: a picture in base64 would count as a book.
_BINARY = frozenset({"image_url", "input_audio", "file"})


def rows(payload: Payload) -> int:
    """The largest dimension 0 of the tensors, or how many prompts or inputs; at least 1.

    In a batch all tensors have the same. Otherwise neither their order, which is the client's, nor
    an empty one must make a request smaller.
    """
    most = 1
    for tensor in payload.tensors:
        shape = tensor.shape
        if shape and shape[0] > most:
            most = shape[0]
    if isinstance(payload, (Prompt, Embedding)):
        return max(most, _inputs(payload))
    return most


def prompt_tokens(payload: Payload) -> int:
    """Roughly the tokens of the prompt, before anybody has counted them."""
    if isinstance(payload, Chat):
        body = payload.body
        text = _bytes(body.get("messages")) + _bytes(body.get("tools"))
        return text // BYTES_A_TOKEN
    if isinstance(payload, (Prompt, Embedding)):
        given = payload.body.get("prompt" if isinstance(payload, Prompt) else "input")
        return _bytes(given) // BYTES_A_TOKEN + _ids(given)
    text = sum(len(tensor.data) for tensor in payload.tensors if tensor.datatype == "BYTES")
    return text // BYTES_A_TOKEN


def completion_tokens(payload: Payload, parameters: Parameters, default: int) -> int:
    """The most tokens that the answer may have, of all its choices together.

    What the request names, else `default` for each choice. It may name several maxima, of which
    servers know one or the other: the largest counts.
    """
    if isinstance(payload, Embedding):
        return 0
    asked: Mapping[str, Any] = payload.body if isinstance(payload, OpenAi) else parameters
    most = max([_count(asked, name) for name in MAXIMA if name in asked], default=0) or default
    choices = max(_count(asked, "n"), _count(asked, "best_of"), 1)
    return most * choices * (_inputs(payload) if isinstance(payload, Prompt) else 1)


def check_maxima(parameters: Parameters) -> None:
    """Raises INVALID for a maximum of tokens that isn't a whole number.

    What one server takes for a number another ignores, and limits couldn't tell.
    """
    for name in MAXIMA:
        value = parameters.get(name)
        if value is not None and _whole(value) is None:
            raise invalid(f"parameters.{name}: must be a whole number, and not below zero")


def measure(used: Used, request: InferRequest, part: Part) -> None:
    """Adds a part of the reply to what the request has used."""
    if part.batch_rows:
        # The backend tells the time up to this part. The request had a share of what has passed
        # since the part before, and as others come and go, shares change.
        share = 1.0
        if part.batch_rows > 1:
            share = min(1.0, rows(request.payload) / part.batch_rows)
        used.device_seconds += max(0, part.compute_us - used.compute_us) * share / 1e6
        used.compute_us = max(used.compute_us, part.compute_us)
    payload = part.payload
    if isinstance(payload, Tensors):
        told: Mapping[str, Any] | None = part.parameters
        in_parts = request.context.streaming and bool(payload.tensors)
    else:
        told = payload.body.get("usage")
        in_parts = True
    if told and _learn(used, told, request.context.streaming):
        return
    if in_parts and not used.tokens_told:
        used.completion_tokens += 1
        used.prompt_tokens = used.prompt_tokens or max(1, prompt_tokens(request.payload))


def _learn(used: Used, told: Mapping[str, Any], streaming: bool) -> bool:
    prompt, completion = _count(told, "prompt_tokens"), _count(told, "completion_tokens")
    if not prompt and not completion:
        return False
    if used.tokens_told:  # nothing that is once used becomes less
        prompt = max(prompt, used.prompt_tokens)
        completion = max(completion, used.completion_tokens)
    used.prompt_tokens = prompt
    details = told.get("prompt_tokens_details")
    if isinstance(details, Mapping):
        used.cached_tokens = min(_count(details, "cached_tokens"), prompt)
    if completion or not streaming:
        used.completion_tokens, used.tokens_told = completion, True
    # Otherwise a stream has told its prompt, and may never tell the rest.
    return True


def _count(found: Mapping[str, Any], name: str) -> int:
    """0 for what isn't a count."""
    return _whole(found.get(name)) or 0


def _whole(value: object) -> int | None:
    """4096 and 4096.0 are the same number in JSON."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return min(value, _LARGEST) if type(value) is int and value >= 0 else None


def _inputs(payload: Prompt | Embedding) -> int:
    given = payload.body.get("prompt" if isinstance(payload, Prompt) else "input")
    # A list of numbers is one prompt in tokens.
    return len(given) if isinstance(given, list) and given and type(given[0]) is not int else 1


def _bytes(value: object) -> int:
    """Of all the text in it."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    if isinstance(value, list):
        return sum(map(_bytes, value)) if not value or type(value[0]) is not int else 0
    if isinstance(value, dict):
        return sum(_bytes(each) for key, each in value.items() if key not in _BINARY)
    return 0


def _ids(value: object) -> int:
    """The tokens among prompts that are given as such."""
    if not isinstance(value, list) or not value:
        return 0
    if type(value[0]) is int:
        return len(value)
    return sum(len(each) for each in value if isinstance(each, list))
