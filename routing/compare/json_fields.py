"""BYTES that hold JSON, field by field; the order of members is no difference.

Numbers agree within `atol + rtol * |primary|`, whether they are written 1 or 1.0; all else agrees
if it is equal. A member that only one side has differs. NaN and infinities are read, since models
in Python write them; a document that names a member twice is not, for it has no one meaning.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protos.arrays import to_array
from protos.datatypes import Array
from protos.route.mirror import Compare
from protos.values import Tensor
from protos.wording import quote
from routing.compare.outputs import Answer, Pair, kind_of, same_family, side_by_side
from routing.compare.pointers import ANY_INDEX, Below, Way, pointer_to, step, tokens
from routing.compare.settled import bounded, differ, incomparable
from routing.shadow.record import Outcome

# Answers of more, primary and candidate together, are not compared: a field takes a microsecond.
MOST_FIELDS = 200_000
# The parser holds the interpreter from a document's first byte to its last, and the event loop
# waits meanwhile: 5 ms for so many bytes of numbers, 15 ms for so many arrays.
LARGEST = 256 << 10
MOST_ARRAYS = 32_768

_MISSING = object()


@dataclass(slots=True)
class Tally:
    """What was found so far, over all documents; a field is a scalar or something empty."""

    fields: int = 0
    differing: int = 0
    first: str = ""

    def add(self, element: str, way: Way, what: str) -> None:
        self.differing += 1
        if not self.first:
            at = pointer_to(way)
            self.first = f'{element}, at "{at}": {what}' if at else f"{element}: {what}"

    def outcome(self) -> Outcome:
        measures = {"fields": float(self.fields), "fields_differ": float(self.differing)}
        return Outcome(not self.differing, bounded(float(self.differing)), measures, self.first)


def compare(
    primary: Answer,
    candidate: Answer,
    how: Compare,
    documents: Mapping[str, Sequence[Any]] | None = None,
) -> Outcome:
    """All outputs of BYTES, part by part and element by element.

    `documents` are those of the primary's outputs, by name, if an answer of one part was read
    already. `distance` is the number of fields that differ. Raises Settled: incomparable if the
    primary's is not JSON or one is too large, differing if only the candidate's is not JSON.
    """
    ignored = tuple([tokens(pointer) for pointer in how.ignore])
    tally = Tally()
    for pair in side_by_side(primary, candidate, _bytes, "BYTES"):
        _compare(pair, (documents or {}).get(pair.name), ignored, how, tally)
    return tally.outcome()


def _bytes(tensor: Tensor) -> bool:
    return kind_of(tensor) == "bytes"


def _compare(
    pair: Pair, documents: Sequence[Any] | None, ignored: Below, how: Compare, tally: Tally
) -> None:
    same_family(pair)
    mine = to_array(pair.primary).reshape(-1)
    theirs = to_array(pair.candidate).reshape(-1)
    output = f"output {quote(pair.name)}"
    if len(mine) != len(theirs):
        raise differ(f"{output}: {len(mine)} documents against {len(theirs)}")
    refuse_large(pair.name, mine)
    refuse_large(pair.name, theirs)
    for index, (ours, other) in enumerate(zip(mine, theirs, strict=True)):
        element = output if len(mine) == 1 else f"{output}, element {index}"
        try:
            document = parsed(ours) if documents is None else documents[index]
        except (ValueError, RecursionError):
            raise incomparable(f"{element} isn't JSON") from None
        try:
            _walk(document, parsed(other), element, ignored, how, tally)
        except (ValueError, RecursionError):
            raise differ(f"{element}: the candidate's isn't JSON") from None


def refuse_large(name: str, elements: Array) -> None:
    """Raises Settled, incomparable, for documents that would take too long, without reading them.

    `elements` are `bytes` on one axis. Commas, brackets and braces are counted, which are as many
    as what is made of a document; those within its texts count too.
    """
    output = f"output {quote(name)}"
    if any(len(element) > LARGEST for element in elements):
        raise incomparable(f"{output}: a document has more than {LARGEST >> 10} KiB")
    if any(element.count(b"[") > MOST_ARRAYS for element in elements):
        raise incomparable(f"{output}: a document has more than {MOST_ARRAYS} arrays")
    if sum(element.count(b",") + element.count(b"{") for element in elements) > MOST_FIELDS:
        raise incomparable(f"{output}: there are more than {MOST_FIELDS} fields")


def parsed(element: bytes) -> Any:
    """The document; raises ValueError (of bad UTF-8 too) or RecursionError."""
    return json.loads(element.decode(), object_pairs_hook=_members)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is named twice")
    return members


def _walk(
    primary: Any, candidate: Any, element: str, ignored: Below, how: Compare, tally: Tally
) -> None:
    """Depth first, in the primary's order, without recursion: documents may be deep."""
    waiting: list[tuple[Any, Any, Way, Below]] = [(primary, candidate, None, ignored)]
    while waiting:
        mine, theirs, way, below = waiting.pop()
        # Before anything is made of what is below.
        if tally.fields + len(waiting) + _width(mine) + _width(theirs) > MOST_FIELDS:
            raise incomparable(f"{element}: there are more than {MOST_FIELDS} fields")
        if type(mine) is dict and type(theirs) is dict and (mine or theirs):
            names = [*mine, *(name for name in theirs if name not in mine)]
            steps = [(mine.get(name, _MISSING), theirs.get(name, _MISSING), name) for name in names]
            is_index = False
        elif type(mine) is list and type(theirs) is list and (mine or theirs):
            if len(mine) != len(theirs) and ANY_INDEX not in below:
                tally.fields += 1
                tally.add(element, way, f"{len(mine)} elements against {len(theirs)}")
            steps = [(a, b, str(i)) for i, (a, b) in enumerate(zip(mine, theirs, strict=False))]
            is_index = True
        else:
            tally.fields += 1
            what = _difference(mine, theirs, how)
            if what:
                tally.add(element, way, what)
            continue
        for a, b, name in reversed(steps):
            left = step(below, name, is_index) if below else below
            if left is not None:
                waiting.append((a, b, (way, name), left))


def _width(value: Any) -> int:
    return len(value) if type(value) in (dict, list) else 0


def _difference(mine: Any, theirs: Any, how: Compare) -> str:
    """What differs between two fields, without their values; empty if nothing does."""
    if theirs is _MISSING:
        return "the candidate lacks it"
    if mine is _MISSING:
        return "only the candidate has it"
    kind, other = _kind(mine), _kind(theirs)
    if kind != other:
        return f"{kind} against {other}"
    if kind == "number":
        return "" if _close(mine, theirs, how) else "the numbers differ"
    return "" if mine == theirs else f"the {kind}s differ"


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _close(mine: float, theirs: float, how: Compare) -> bool:
    """Whole numbers are exact at the length that is read, so that long ones overflow nothing."""
    if mine == theirs or (mine != mine and theirs != theirs):
        return True
    try:
        error = abs(mine - theirs)
        return math.isfinite(error) and error <= how.atol + how.rtol * abs(mine)
    except OverflowError:
        return False
