"""Elements within a tolerance: `|primary - candidate| <= atol + rtol * |primary|`.

As `numpy.isclose` with the primary for reference: NaN equals NaN, an infinity equals itself. Floats
of different widths are compared as numbers, and so are integers, exactly; a float against an
integer differs. BOOL and BYTES are compared exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protos.arrays import mismatch
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

_LARGEST = float(np.finfo(np.float64).max)


@dataclass(slots=True)
class Tally:
    """What was found so far, over all outputs."""

    elements: int = 0
    mismatched: int = 0
    max_abs_error: float = 0.0  # of pairs of finite floats, as the next
    max_rel_error: float = 0.0
    cosine: float = 1.0  # of the output that is turned most
    in_tolerances: float = 0.0  # the largest error
    exact: int = 0  # that differ and have no tolerance
    not_finite: int = 0  # that differ because one of both isn't finite
    floats: bool = False
    where: str = ""

    def outcome(self) -> Outcome:
        measures = {
            "elements": float(self.elements),
            "mismatched": self.mismatched / self.elements if self.elements else 0.0,
        }
        if self.floats:
            measures["max_abs_error"] = min(self.max_abs_error, _LARGEST)
            measures["max_rel_error"] = min(self.max_rel_error, _LARGEST)
            measures["not_finite"] = float(self.not_finite)
            if not math.isnan(self.cosine):
                measures["cosine"] = self.cosine
        distance = FARTHEST if self.not_finite else bounded(self.in_tolerances)
        if self.exact:
            distance = max(distance, bounded(1.0 + self.exact))
        return Outcome(not self.mismatched, distance, measures, self._reason())

    def _reason(self) -> str:
        if not self.mismatched:
            return ""
        return f"{self.mismatched} of {self.elements} elements differ, first in {self.where}"


def compare(primary: Answer, candidate: Answer, how: Compare) -> Outcome:
    """All outputs, part by part.

    `distance` is the largest error in tolerances, so at most 1 where the answers agree; of elements
    without a tolerance 1 and the number that differ. Raises Settled.
    """
    return compare_pairs(side_by_side(primary, candidate, _any, "any output"), how)


def compare_pairs(pairs: Sequence[Pair], how: Compare) -> Outcome:
    tally = Tally()
    for pair in pairs:
        before = tally.mismatched
        _compare(pair, how, tally)
        if tally.mismatched and not before:
            tally.where = f"output {quote(pair.name)}"
    return tally.outcome()


def _any(tensor: Tensor) -> bool:
    return True


def _compare(pair: Pair, how: Compare, tally: Tally) -> None:
    same_family(pair)
    kind = kind_of(pair.primary)
    if _same_bytes(pair):
        why = mismatch(pair.primary)
        if why is not None:
            raise incomparable(f"output {quote(pair.name)}: {why}")
        tally.elements += math.prod(pair.primary.shape)
        tally.floats |= kind == "float"
        return
    mine, theirs = numbers(pair.primary), numbers(pair.candidate)
    same_shape(pair)
    tally.elements += mine.size
    if kind == "float":
        tally.floats = True
        _compare_floats(mine.reshape(-1), theirs.reshape(-1), how, tally)
    else:
        differing = int(np.count_nonzero(mine != theirs))
        tally.mismatched += differing
        tally.exact += differing


def _same_bytes(pair: Pair) -> bool:
    mine, theirs = pair.primary, pair.candidate
    return (
        mine.datatype == theirs.datatype
        and mine.shape == theirs.shape
        and bytes(mine.data) == bytes(theirs.data)
    )


def _compare_floats(mine: Array, theirs: Array, how: Compare, tally: Tally) -> None:
    dot = mine_squared = theirs_squared = 0.0
    with np.errstate(all="ignore"):
        for start in range(0, mine.size, CHUNK):
            p, c = doubles(mine[start : start + CHUNK]), doubles(theirs[start : start + CHUNK])
            error = np.abs(p - c)
            if not math.isfinite(error.max()):
                finite = np.isfinite(p) & np.isfinite(c)
                same = (p == c) | (np.isnan(p) & np.isnan(c))
                odd = int(np.count_nonzero(~(finite | same)))
                tally.mismatched += odd
                tally.not_finite += odd
                p, c, error = p[finite], c[finite], error[finite]
            if error.size:
                _tally_errors(np.abs(p), error, how, tally)
                dot += float(p @ c)
                mine_squared += float(p @ p)
                theirs_squared += float(c @ c)
        cosine = _cosine(dot, mine_squared, theirs_squared)
        if not cosine >= tally.cosine:  # NaN replaces all and is replaced by none
            tally.cosine = cosine


def _tally_errors(size: Array, error: Array, how: Compare, tally: Tally) -> None:
    """Of finite elements; `size` is the primary's, without sign."""
    largest = float(error.max())
    if not largest:
        return
    tally.max_abs_error = max(tally.max_abs_error, largest)
    relative = error / size
    relative[size == 0] = 0.0
    tally.max_rel_error = max(tally.max_rel_error, float(relative.max()))
    tolerance = how.atol + how.rtol * size
    tally.mismatched += int(np.count_nonzero(error > tolerance))
    exact = tolerance == 0
    tally.exact += int(np.count_nonzero(error[exact]))
    tolerances = error / tolerance
    tolerances[exact] = 0.0
    tally.in_tolerances = max(tally.in_tolerances, float(tolerances.max()))


def _cosine(dot: float, mine_squared: float, theirs_squared: float) -> float:
    """NaN where squares overflow; zeros are turned like zeros, and square to all else."""
    if not mine_squared or not theirs_squared:
        return 1.0 if mine_squared == theirs_squared else 0.0
    cosine = dot / (math.sqrt(mine_squared) * math.sqrt(theirs_squared))
    return max(-1.0, min(1.0, cosine)) if math.isfinite(cosine) else math.nan
