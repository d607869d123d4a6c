"""JSON from strangers and from key servers, read so that it has one meaning."""

import json
from typing import Any

from policies.refusal import Rejected

Json = dict[str, Any]


def json_object(text: bytes) -> Json:
    """The object; raises Rejected for duplicate members, NaN and anything but an object.

    Malformed text raises what the standard library raises: ValueError, RecursionError.
    """
    # Decoded here: of bytes, the library guesses the encoding (RFC 8259, 8.1 knows one).
    value = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    if not isinstance(value, dict):
        raise Rejected("it is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Rejected("a member occurs twice")
    return members


def _no_constant(name: str) -> None:
    raise Rejected(f"{name} is not JSON")
