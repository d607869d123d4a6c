"""Outputs of BYTES as text: equal, or within `maxEdit` of the primary's length in edits.

One part is compared element by element. An answer in several parts is one text: they are joined,
however they were cut. Outputs of other datatypes aren't looked at.
"""

from dataclasses import dataclass

from protos.arrays import to_array
from protos.route.mirror import Compare
from protos.values import Tensor
from protos.wording import quote
from routing.compare.edits import MOST_WORK, edits, without_common_ends, work
from routing.compare.outputs import Answer, kind_of
from routing.compare.settled import differ, incomparable
from routing.shadow.record import Outcome

# Shares of a length that aren't exact in binary must not cost an edit.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Texts:
    """One output's texts, of both answers: as many elements as the other has."""

    name: str
    primary: list[str]
    candidate: list[str]


@dataclass(slots=True)
class Tally:
    """What was found so far; `edits` is None once they are too many to be counted."""

    characters: int = 0
    edits: int | None = 0
    similarity: float = 1.0
    texts: int = 0
    unlike: int = 0
    unknown: int = 0
    work_left: int = MOST_WORK
    where: str = ""

    def outcome(self) -> Outcome:
        measures = {"characters": float(self.characters), "similarity": self.similarity}
        if self.edits is not None:
            measures["edits"] = float(self.edits)
        if self.unlike:
            reason = f"{self.unlike} of {self.texts} texts differ, first in {self.where}"
            return Outcome(False, 1.0 - self.similarity, measures, reason)
        if self.unknown:
            return Outcome(None, measures=measures, reason="the texts are too long for maxEdit")
        return Outcome(True, 1.0 - self.similarity, measures)


def compare(primary: Answer, candidate: Answer, how: Compare) -> Outcome:
    """`similarity` is 1 - edits / length of the longer; the least of all texts counts.

    Where edits are too many to be counted, it is a lower bound: as if all between the common ends
    had been replaced. `distance` is what it lacks to 1. Raises Settled.
    """
    return compare_texts(texts_of(primary, candidate), how)


def compare_texts(texts: list[Texts], how: Compare) -> Outcome:
    tally = Tally()
    for output in texts:
        before = tally.unlike
        for mine, theirs in zip(output.primary, output.candidate, strict=True):
            _compare(mine, theirs, how.max_edit, tally)
        if tally.unlike and not before:
            tally.where = f"output {quote(output.name)}"
    return tally.outcome()


def texts_of(primary: Answer, candidate: Answer) -> list[Texts]:
    """The texts of each output; raises Settled."""
    names = list(
        dict.fromkeys(tensor.name for part in primary for tensor in part if _bytes(tensor))
    )
    if not names:
        raise incomparable("no output is BYTES")
    whole = len(primary) == len(candidate) == 1
    return [_texts(name, primary, candidate, whole) for name in names]


def _texts(name: str, primary: Answer, candidate: Answer, whole: bool) -> Texts:
    ours, others = _named(primary, name), _named(candidate, name)
    if not all(map(_bytes, ours)):
        raise incomparable(f"output {quote(name)} is BYTES in some parts only")
    if not others:
        raise differ(f"the candidate has no output {quote(name)}")
    for tensor in others:
        if not _bytes(tensor):
            raise differ(f"output {quote(name)}: BYTES against {tensor.datatype}")
    mine, theirs = _elements(ours), _elements(others)
    if not whole:
        mine, theirs = [b"".join(mine)], [b"".join(theirs)]
    if len(mine) != len(theirs):
        raise differ(f"output {quote(name)}: {len(mine)} texts against {len(theirs)}")
    try:
        texts = [element.decode() for element in mine]
    except UnicodeDecodeError:
        raise incomparable(f"output {quote(name)} isn't UTF-8") from None
    try:
        return Texts(name, texts, [element.decode() for element in theirs])
    except UnicodeDecodeError:
        raise differ(f"output {quote(name)}: the candidate's isn't UTF-8") from None


def _named(answer: Answer, name: str) -> list[Tensor]:
    return [tensor for part in answer for tensor in part if tensor.name == name]


def _elements(tensors: list[Tensor]) -> list[bytes]:
    return [element for tensor in tensors for element in to_array(tensor).reshape(-1)]


def _bytes(tensor: Tensor) -> bool:
    return kind_of(tensor) == "bytes"


def _compare(mine: str, theirs: str, max_edit: float, tally: Tally) -> None:
    tally.texts += 1
    tally.characters += len(mine)
    if mine == theirs:
        return
    allowed = max_edit * len(mine) + _ROUNDING
    longer = max(len(mine), len(theirs))
    middle = without_common_ends(mine, theirs)
    needed = work(*middle)
    if needed <= tally.work_left:
        tally.work_left -= needed
        most = least = edits(*middle)
        if tally.edits is not None:
            tally.edits += most
    else:
        most, least = max(map(len, middle)), max(1, abs(len(mine) - len(theirs)))
        tally.edits = None
    tally.similarity = min(tally.similarity, 1.0 - most / longer)
    if least > allowed:
        tally.unlike += 1
    elif most > allowed:
        tally.unknown += 1
