"""The label that an answer says: a class index by largest score, a whole number, or a text.

Scores (floats) have a row of classes along their last axis, and a row's label is the index of its
largest score. NaN is the least of all scores; a row of nothing else has no label. Classes within
`atol + rtol * |largest|` of the largest are tied with it, and between tied ones nothing flips. With
`topK` the primary's label, or one tied with it, is among the candidate's K largest.
"""

from dataclasses import dataclass

import numpy as np

from protos.arrays import to_array
from protos.datatypes import Array
from protos.route.mirror import Compare
from protos.values import Tensor
from protos.wording import quote
from routing.compare.outputs import (
    CHUNK,
    Answer,
    Pair,
    doubles,
    kind_of,
    numbers,
    same_family,
    same_shape,
    side_by_side,
)
from routing.compare.settled import FARTHEST, bounded, incomparable
from routing.shadow.record import Outcome

# A longer text is no class's name, and isn't kept as the label of a segment.
LONGEST = 64


@dataclass(slots=True)
class Tally:
    """What was found so far, over all outputs; `overlap` is summed over rows of scores."""

    labels: int = 0
    flips: int = 0
    scored: int = 0
    overlap: float = 0.0
    distance: float = 0.0
    where: str = ""

    def outcome(self, label: str) -> Outcome:
        measures = {"labels": float(self.labels), "flips": float(self.flips)}
        if self.scored:
            measures["top_k_overlap"] = self.overlap / self.scored
        reason = f"{self.flips} of {self.labels} labels differ, first in {self.where}"
        return Outcome(
            not self.flips, bounded(self.distance), measures, reason if self.flips else "", label
        )


def compare(primary: Answer, candidate: Answer, how: Compare) -> Outcome:
    """All outputs that say labels, part by part; `label` is the first one's first.

    `distance` is how far the candidate's best score lies above its score of the primary's label, or
    the number of differing labels where there are no scores. Raises Settled.
    """
    pairs = side_by_side(
        primary, candidate, _says_labels, "scores of several classes, whole numbers or BYTES"
    )
    tally = Tally()
    for pair in pairs:
        before = tally.flips
        _compare(pair, how, tally)
        if tally.flips and not before:
            tally.where = f"output {quote(pair.name)}"
    return tally.outcome(label_of(pairs[0].primary))


def label_of(tensor: Tensor) -> str:
    """The first label of the tensor as text; empty if it has none, or none that is short text."""
    array = numbers(tensor)
    if not array.size:
        return ""
    if kind_of(tensor) == "float":
        row = array.reshape(-1, array.shape[-1])[0]
        return "" if np.isnan(row).all() else str(int(np.nanargmax(row)))
    first = array.reshape(-1)[0]
    if not isinstance(first, bytes):
        return str(first).lower() if kind_of(tensor) == "bool" else str(int(first))
    try:
        text = first.decode()
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= LONGEST and text.isprintable() else ""


def _says_labels(tensor: Tensor) -> bool:
    return kind_of(tensor) != "float" or (len(tensor.shape) > 0 and tensor.shape[-1] > 1)


def _compare(pair: Pair, how: Compare, tally: Tally) -> None:
    same_family(pair)
    if kind_of(pair.primary) != "float":
        mine, theirs = to_array(pair.primary), to_array(pair.candidate)
        same_shape(pair)
        flips = int(np.count_nonzero(mine != theirs))
        tally.labels += mine.size
        tally.flips += flips
        tally.distance = max(tally.distance, float(flips))
        return
    mine, theirs = numbers(pair.primary), numbers(pair.candidate)
    same_shape(pair)
    classes = mine.shape[-1]
    if how.top_k > 1 and how.top_k >= classes:
        raise incomparable(
            f"output {quote(pair.name)}: the largest {how.top_k} of {classes} classes are all"
        )
    step = max(1, CHUNK // classes)
    mine, theirs = mine.reshape(-1, classes), theirs.reshape(-1, classes)
    with np.errstate(all="ignore"):
        for start in range(0, len(mine), step):
            _compare_rows(mine[start : start + step], theirs[start : start + step], how, tally)


def _compare_rows(mine: Array, theirs: Array, how: Compare, tally: Tally) -> None:
    p, unlabelled = _ranked(mine)
    c, also_unlabelled = _ranked(theirs)
    largest, best = p.max(1), c.max(1)
    tied = p >= (largest - _tolerance(largest, how))[:, None]
    held = np.where(tied, c, -np.inf).max(1)  # the candidate's score for what the primary says
    better = c > (held + _tolerance(best, how))[:, None]
    flipped = np.count_nonzero(better, axis=1) >= how.top_k
    margin = np.nan_to_num(best - held, nan=0.0, posinf=FARTHEST)  # NaN: the same infinity
    lone = unlabelled != also_unlabelled
    flipped[lone] = True
    margin[lone] = FARTHEST
    tally.labels += len(p)
    tally.flips += int(np.count_nonzero(flipped))
    tally.scored += len(p)
    tally.overlap += _overlap(p, c, how.top_k)
    tally.distance = max(tally.distance, float(margin.max()))


def _ranked(scores: Array) -> tuple[Array, Array]:
    """Scores that have an order, and which rows have nothing to put in it."""
    ranked = doubles(scores)
    nan: Array = ranked != ranked
    if nan.any():
        ranked[nan] = -np.inf
    return ranked, np.logical_and.reduce(nan, axis=1)


def _tolerance(largest: Array, how: Compare) -> Array:
    """Infinities have none: they are tied with themselves alone."""
    return np.where(np.isfinite(largest), how.atol + how.rtol * np.abs(largest), 0.0)


def _overlap(p: Array, c: Array, k: int) -> float:
    """The share of the primary's K largest among the candidate's, summed over the rows."""
    if k == 1:
        return float(np.count_nonzero(p.argmax(1) == c.argmax(1)))
    return float(np.count_nonzero(_among_largest(p, k) & _among_largest(c, k))) / k


def _among_largest(scores: Array, k: int) -> Array:
    """Which are of the row's K largest; of equal ones the first."""
    largest = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    among = np.zeros(scores.shape, bool)
    np.put_along_axis(among, largest, True, axis=1)
    return among
