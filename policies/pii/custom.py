"""Patterns and allow-lists of a policy, ready for use."""

import re
from typing import Any

import re2

from policies.pii.fold import fold
from policies.pii.patterns import compiled
from policies.pii.recogniser import Recogniser
from policies.pii.settings import Pattern
from protos.errors import invalid

# Patterns that plainly match no blank, quote, brace or line break; streams needn't wait for them.
_RANGE = r"(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|\\[dw]|[\w.#:@/+=])"
_UNBROKEN = re.compile(
    rf"(?:[\w#:@/=,~-]|\\[dwbB.+*?()/-]|\{{[0-9,]+\}}|\[{_RANGE}+-?\]|\(\?(?:i:|:)|[()|?*+^$])+"
)


def recogniser(pattern: Pattern) -> Recogniser:
    """The recogniser for a company's own entity. Raises INVALID, naming it."""
    source = _folded(pattern.entity, pattern.pattern)
    own_pattern(pattern.entity, source)  # by itself first: what is said of it shows it as it is
    words = b"|".join(
        re2.escape(_folded(pattern.entity, word).decode("latin-1").lower()).encode("latin-1")
        for word in pattern.context
    )
    made = Recogniser(
        pattern.entity,
        b"(?i:" + source + b")" if pattern.ignore_case else b"(?:" + source + b")",
        0.0 if words else 1.0,
        1.0,
        context=words,
        canonical=str,
        left=b"",
        right=b"",
        longest=pattern.max_length,
        crosses=_UNBROKEN.fullmatch(pattern.pattern) is None,
        confusable=False,
        linear=True,
    )
    if own_pattern(pattern.entity, made.whole).search(b"") is not None:
        raise invalid(f"the pattern of {pattern.entity} matches the empty text")
    return made


def allowed_pattern(pattern: str) -> Any:
    """A pattern of an allow-list. Raises INVALID."""
    return own_pattern("allow", fold(pattern).data)


def own_pattern(entity: str, source: bytes) -> Any:
    """RE2 over folded bytes. Raises INVALID, naming the entity."""
    try:
        return compiled(source)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        raise invalid(f"the pattern of {entity} is not RE2: {shown}") from None


def _folded(entity: str, text: str) -> bytes:
    """A pattern as text is folded, so that `Müller` finds `Muller` and the other way round."""
    data = fold(text).data
    if not data.isascii():
        raise invalid(f"the pattern of {entity} has letters that are not Latin")
    return data
