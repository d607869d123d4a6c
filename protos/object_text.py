"""The text in objects of OpenAI's API, found by construction: every string is text.

That holds for keys and for fields that nobody has heard of yet as well. What is passed over are
values of closed sets (roles, types), the model's name, which is looked at by itself, and numbers of
few digits; a long whole number may be anybody's, and is text too, unless the API has a number of
its own in that place.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from protos.found_text import Text, Walk
from protos.openai.fields import CLOSED, KEYS, NOWHERE, SPELLING, TOP, VECTORS, Place
from protos.values import Embedding, OpenAi

Object = TypeVar("Object", bound=OpenAi)

_SMALL = 100_000  # no identifier has fewer than six digits
_LARGE = 1e22  # nor more than these as a number; there are floats of 300 digits
_PAUSE = 256  # values between two pauses of a walk

# Bytes in the form of text, by the key and the one around it.
_BINARY = {
    "data": frozenset({"input_audio", "audio"}),
    "file_data": frozenset({"file"}),
}
_URLS = frozenset(
    {"url", "image_url", "video_url", "audio_url", "input_image", "image", "file", "file_data"}
)
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(;[^,;]*)*,", re.IGNORECASE)  # RFC 2397
_TOKENS = ("prompt", "input")  # may be lists of token ids: text that only the model can read


def rewriting(payload: Object, *, reply: bool = False) -> Walk[Object]:
    """Gives out each text, in one order for equal objects, and makes the object with the new ones.

    In a reply the vectors of embeddings are passed over, in whatever encoding, and what spells out
    a text is taken out. What doesn't change is shared with the old object, which is the result if
    nothing does. Raises ValueError where two keys of an object become the same.
    """
    walk = _ObjectWalk(vectors=reply and isinstance(payload, Embedding), reply=reply)
    body = yield from walk.top(payload.body)
    return payload if body is payload.body else type(payload)(body, payload.size)


def digits_of(value: float) -> str:
    """The digits of a number that may be somebody's, without its sign; empty for others."""
    if -_SMALL < value < _SMALL:
        return ""
    if type(value) is float:
        return str(abs(int(value))) if value.is_integer() and abs(value) < _LARGE else ""
    return str(abs(value)) if type(value) is int else ""


def signed(value: float, written: str) -> str:
    """What was written instead of a number's digits, with its sign."""
    return f"-{written}" if value < 0 else written


class _ObjectWalk:
    """`vectors` says that an `embedding` is one."""

    __slots__ = ("_reply", "_seen", "_vectors")

    def __init__(self, *, vectors: bool, reply: bool) -> None:
        self._vectors = vectors
        self._reply = reply
        self._seen = 0

    def top(self, body: Mapping[str, Any]) -> Walk[Mapping[str, Any]]:
        return (yield from self._object(body, "", TOP, top=True))

    def _value(self, value: Any, key: str, around: str, place: Place) -> Walk[Any]:
        self._seen += 1
        if self._seen % _PAUSE == 0:
            yield None
        kind = type(value)
        if kind is str:
            return (yield from _string(value, key, around))
        if kind is dict:
            return (yield from self._object(value, key, place.inner.get(key, NOWHERE)))
        if kind is list:
            return (yield from self._list(value, key, around, place))
        if (kind is int or kind is float) and key not in place.counts:
            digits = digits_of(value)
            if digits:
                written = yield Text(key, 0, digits)
                # A placeholder has no other form in JSON than a string.
                if written is not None and written != digits:
                    return signed(value, written)
        return value

    def _list(self, value: list[Any], key: str, around: str, place: Place) -> Walk[list[Any]]:
        made: list[Any] = []
        changed = False
        for each in value:
            new = yield from self._value(each, key, around, place)
            changed = changed or new is not each
            made.append(new)
        return made if changed else value

    def _object(
        self, value: Mapping[str, Any], around: str, place: Place, *, top: bool = False
    ) -> Walk[Mapping[str, Any]]:
        made: dict[str, Any] = {}
        changed = False
        for key, inner in value.items():
            new = inner
            if self._reply and key in SPELLING:
                new = None if inner else inner
            elif top and key in _TOKENS and _token_ids(inner):
                yield Text(key, 0, None)
            elif not self._passed(key, inner, place, top=top):
                new = yield from self._value(inner, key, around, place)
            name = key
            if key not in KEYS:
                written = yield Text("", 0, key, True)
                name = key if written is None or written == key else written
            changed = changed or new is not inner or name is not key
            if name in made:
                raise ValueError("two keys of an object become one")
            made[name] = new
        return made if changed else value

    def _passed(self, key: str, value: Any, place: Place, *, top: bool) -> bool:
        if top:
            return key == "model" and type(value) is str
        return self._vectors and place is VECTORS and key == "embedding"


def _string(value: str, key: str, around: str) -> Walk[str]:
    closed = CLOSED.get(key)
    if closed is not None and value in closed:
        return value
    text: str | None = value
    if around in _BINARY.get(key, ()) or (key in _URLS and _DATA_URL.match(value)):
        text, key = None, around or key
    written = yield Text(key, 0, text)
    return value if written is None or written == value else written


def _token_ids(value: Any) -> bool:
    return isinstance(value, list) and any(not isinstance(each, str) for each in value)
