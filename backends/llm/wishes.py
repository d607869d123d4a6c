"""What OpenAI's bodies ask of a language model, and the sampling that comes of it.

Beside OpenAI's fields vLLM's `top_k`, `min_p`, `repetition_penalty`, `ignore_eos` are taken. What
the engine can't do is refused by name, and never passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.llm.sampling import Sampling
from protos.errors import PenstockError, invalid
from protos.values import Chat, JsonObject, OpenAi

MOST_STOPS = 16
LONGEST_STOP = 256  # characters
MOST_LOGPROBS = 20
MOST_BIASES = 1024
# A temperature below counts as none: what it divides wouldn't be finite.
COLD = 1e-5
COMPLETION_TOKENS = 16  # what OpenAI's completions have where nothing is asked for

_NUMBERS = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.01, 100.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
}
_COMMON = frozenset(_NUMBERS) | {
    "model",
    "stream",
    "stream_options",
    "n",
    "seed",
    "stop",
    "max_tokens",
    "top_k",
    "ignore_eos",
    "logit_bias",
    "logprobs",
}
_CHAT = _COMMON | {"messages", "max_completion_tokens", "top_logprobs"}
_PROMPT = _COMMON | {"prompt"}
# These say nothing of the answer.
_NOTES = frozenset(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
    | {"priority"}  # the call has it, as its route allows it
)
# These are what they would be anyway.
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "modalities": (["text"],),
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """`most` new tokens (None: as many as there is room for) in each of `choices` answers."""

    sampling: Sampling
    most: int | None
    choices: int
    stops: tuple[str, ...]
    ignore_end: bool


def wishes_of(payload: OpenAi) -> Wishes:
    """Of a body that the gateway has checked; raises INVALID naming the field."""
    body, chat = payload.body, isinstance(payload, Chat)
    for name, value in body.items():
        if name in (_CHAT if chat else _PROMPT) or name in _NOTES or value is None:
            continue
        if value not in _NEUTRAL.get(name, ()):
            raise _wrong(name, "this model's server doesn't do that")
    most = _count(body, "max_tokens", 1)
    if chat:
        newer = _count(body, "max_completion_tokens", 1)
        most = most if newer is None else newer
    elif most is None:
        most = COMPLETION_TOKENS
    choices = _count(body, "n", 1)
    return Wishes(
        _sampling(body, chat=chat),
        most,
        1 if choices is None else choices,
        _stops(body),
        _flag(body, "ignore_eos"),
    )


def _sampling(body: JsonObject, *, chat: bool) -> Sampling:
    temperature = _number(body, "temperature", 1.0)
    top_k = body.get("top_k")
    top_k = 0 if top_k == -1 else _count(body, "top_k", 0) or 0
    seed = body.get("seed")
    if seed is not None and (type(seed) is not int or not -(2**63) <= seed < 2**63):
        raise _wrong("seed", "must be a whole number of 64 bits")
    return Sampling(
        temperature=0.0 if temperature < COLD else temperature,
        top_k=top_k,
        top_p=_number(body, "top_p", 1.0),
        min_p=_number(body, "min_p", 0.0),
        repetition=_number(body, "repetition_penalty", 1.0),
        presence=_number(body, "presence_penalty", 0.0),
        frequency=_number(body, "frequency_penalty", 0.0),
        bias=_bias(body),
        seed=seed,
        logprobs=_chat_logprobs(body) if chat else _prompt_logprobs(body),
    )


def _chat_logprobs(body: JsonObject) -> int:
    wanted, top = _flag(body, "logprobs"), _count(body, "top_logprobs", 0, MOST_LOGPROBS)
    if top is not None and not wanted:
        raise _wrong("top_logprobs", 'is only for requests with "logprobs": true')
    return (top or 0) if wanted else -1


def _prompt_logprobs(body: JsonObject) -> int:
    wanted = _count(body, "logprobs", 0, MOST_LOGPROBS)
    return -1 if wanted is None else wanted


def _stops(body: JsonObject) -> tuple[str, ...]:
    value = body.get("stop")
    if value is None:
        return ()
    found = [value] if isinstance(value, str) else value
    if (
        not isinstance(found, list)
        or len(found) > MOST_STOPS
        or not all(isinstance(each, str) and 0 < len(each) <= LONGEST_STOP for each in found)
    ):
        what = f"up to {MOST_STOPS} strings of 1 to {LONGEST_STOP} characters"
        raise _wrong("stop", f"must be a string, or {what}")
    return tuple(found)


def _bias(body: JsonObject) -> dict[int, float]:
    value = body.get("logit_bias")
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > MOST_BIASES:
        raise _wrong("logit_bias", f"must be an object of up to {MOST_BIASES} tokens")
    found: dict[int, float] = {}
    for token, bias in value.items():
        if not (token.isascii() and token.isdigit() and len(token) < 10):
            raise _wrong("logit_bias", "must have tokens' numbers as its names")
        if type(bias) not in (int, float) or not -100 <= bias <= 100:
            raise _wrong("logit_bias", "must have numbers from -100 to 100 as its values")
        found[int(token)] = float(bias)
    return found


def _number(body: JsonObject, name: str, default: float) -> float:
    value: Any = body.get(name)
    if value is None:
        return default
    least, most = _NUMBERS[name]
    if type(value) not in (int, float) or not least <= value <= most:
        raise _wrong(name, f"must be a number from {least:g} to {most:g}")
    return float(value)


def _count(body: JsonObject, name: str, least: int, most: int = 1 << 31) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        raise _wrong(name, f"must be a whole number of at least {least} and at most {most}")
    return value


def _flag(body: JsonObject, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong(name, "must be true or false")
    return value is True


def _wrong(name: str, what: str) -> PenstockError:
    return invalid(f"{name}: {what}", param=name)
