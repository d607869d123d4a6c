"""The values in a JSON text, redacted where they stand; the rest of the text stays as it is.

Arguments and results of tools are such texts. Strings are read before they are searched, so that
escapes hide nothing, and written as strings again.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal

from simdjson import Parser as _Parser

from policies.pii.steps import SLICE, Steps

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*')
_SURROGATE = re.compile("[\ud800-\udfff]")
_COLON = re.compile(r"[ \t\r\n]*:")
# An identifier that is written as a number has at least as many digits.
_SHORTEST = 6
# Those that aren't written out, with a point or an exponent.
_SMALLEST = 1e5
_LARGEST = 1e22
_OPENING = re.compile(r"\s*[\[{]")
# Longer texts are parsed without making objects of them, which would take ten times as long.
_LONG = 1 << 16
# Short values cost more for each character than long ones.
_PAUSE = SLICE // 4


def is_json(text: str) -> bool:
    """Whether it is an object or an array, as arguments of tools are."""
    if _OPENING.match(text) is None:
        return False
    try:
        if len(text) <= _LONG:
            json.loads(text)
        else:
            _Parser().parse(text.encode())
    except (ValueError, RecursionError):
        return False
    return True


def redact_leaves(text: str, redact: Callable[[str, str], Steps[str]]) -> Steps[str]:
    """`text`, which `is_json`, with each string, key and long whole number passed through `redact`.

    `redact` takes a value and the key that it stands under. A number that it changes becomes a
    string: a placeholder has no other form in JSON.
    """
    pieces: list[str] = []
    done = paused = 0
    key = ""
    for token in _TOKEN.finditer(text):
        if token.end() - paused > _PAUSE:
            yield
            paused = token.end()
        written = token[0]
        if written[0] == '"':
            value = json.loads(written) if len(written) > 2 else ""
            is_key = _COLON.match(text, token.end()) is not None
            changed = (yield from redact(value, "" if is_key else key)) if value else value
            if is_key:
                key = value
        elif value := _digits(written):
            changed = yield from redact(value, key)
            if changed != value and written[0] == "-":
                changed = f"-{changed}"
        else:
            continue
        if changed != value:
            pieces += (text[done : token.start()], _written(changed))
            done = token.end()
    pieces.append(text[done:])
    return "".join(pieces)


def _digits(number: str) -> str:
    """Those of a whole number that may be somebody's, whichever way it is written; else none."""
    if len(number) < _SHORTEST:
        return ""
    if number.isdigit():
        return number
    whole = number.removeprefix("-")
    if whole.isdigit():
        return whole if len(whole) >= _SHORTEST else ""
    if not _SMALLEST <= float(whole) < _LARGEST:
        return ""
    value = Decimal(whole)
    return str(int(value)) if value == value.to_integral_value() else ""


def _written(value: str) -> str:
    """As a string of JSON, with letters as they are; halves of a surrogate pair stay escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if _SURROGATE.search(text) else text
