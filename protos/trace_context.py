"""W3C Trace Context: what carries a trace from process to process.

https://www.w3.org/TR/trace-context/, level 1 with level 2's rules for later versions. What is
malformed is nobody's: the trace starts anew, as the recommendation asks.
"""

import random
import re
from collections.abc import Iterable
from typing import NamedTuple

# Of the ids that are in force here, version 00; what later versions add is dropped.
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_KEY = r"(?:[a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13})"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER = re.compile(rf"({_KEY})={_VALUE}")
MOST_MEMBERS = 32
MOST_STATE = 512  # characters; what the recommendation asks everybody to pass on

# Ids need to be distinct, not unguessable: the kernel's random source costs 5 µs.
_ids = random.Random()  # noqa: S311


class TraceContext(NamedTuple):
    """Where a span belongs: its trace, and the span that is its parent."""

    trace_id: int  # 128 bits
    span_id: int  # 64 bits
    sampled: bool


def new_span_id() -> int:
    """Never 0, which would be none."""
    return _ids.getrandbits(64) or 1


def begin(parent: str, sampled: bool) -> str:
    """The traceparent of a new span, below `parent` if that is one that `accepted` gave.

    Below a parent, that decides whether it is sampled.
    """
    if parent:
        return f"{parent[:36]}{_ids.getrandbits(64) or 1:016x}{parent[52:]}"
    ids = f"{_ids.getrandbits(192) | 1 | 1 << 64:048x}"
    return f"00-{ids[:32]}-{ids[32:]}-{'01' if sampled else '00'}"


def child(traceparent: str, span_id: int) -> str:
    """The same trace with another span as the parent of what comes."""
    return f"{traceparent[:36]}{span_id:016x}{traceparent[52:]}"


def accepted(traceparent: str) -> str:
    """What another process sent, in version 00; empty for what can't be read."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return ""
    version, trace, span, flags, more = found.groups()
    if more is not None and version == "00":
        return ""
    return f"00-{trace}-{span}-0{int(flags, 16) & 1}"


def read(traceparent: str) -> TraceContext:
    """What `accepted` or `begin` gave, in numbers."""
    return TraceContext(
        int(traceparent[3:35], 16), int(traceparent[36:52], 16), is_sampled(traceparent)
    )


def is_sampled(traceparent: str) -> bool:
    return traceparent.endswith("1")


def accepted_state(values: Iterable[str]) -> str:
    """One `tracestate` of all header lines; empty if a member is malformed or there twice.

    Of one that is too long, the members that were added first, which stand last, are dropped, and
    not looked at: a header has room for thousands, and nobody has said yet who sends it.
    """
    members: dict[str, str] = {}
    size = -1
    for member in ",".join(values).split(",", MOST_MEMBERS)[:MOST_MEMBERS]:
        text = member.strip(" \t")
        if not text:
            continue
        found = _MEMBER.fullmatch(text)
        if found is None or found[1] in members:
            return ""
        size += len(text) + 1
        if size > MOST_STATE:
            break
        members[found[1]] = text
    return ",".join(members.values())
