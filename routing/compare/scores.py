"""Scores whose distribution matters: elements within the tolerance, and one figure an answer.

The figure is the mean over rows, so that a report can hold the primary's against the candidate's
over many pairs (Kolmogorov-Smirnov, population stability index). A row's score is

- the element itself where the last axis has one, or where it is the only axis;
- the last element of two: a binary classifier's positive class;
- the largest of more: the classifier's confidence (their mean would always be the same).
"""

import math

import numpy as np

from protos.datatypes import Array
from protos.route.mirror import Compare
from protos.values import Tensor
from routing.compare.outputs import Answer, doubles, kind_of, numbers, side_by_side
from routing.compare.tensor import compare_pairs
from routing.shadow.record import Outcome


def compare(primary: Answer, candidate: Answer, how: Compare) -> Outcome:
    """All outputs of floats, part by part, as `tensor` does; the scores are of the first output.

    Rows without a finite score have no part in `score_primary` and `score_candidate`, which are
    left out if there is no other row, or if their sum is beyond all floats. Raises Settled.
    """
    pairs = side_by_side(primary, candidate, _floats, "outputs of floats")
    outcome = compare_pairs(pairs, how)
    first = [pair for pair in pairs if pair.name == pairs[0].name]
    mine = _rows([pair.primary for pair in first])
    theirs = _rows([pair.candidate for pair in first])
    measures = dict(outcome.measures)
    if mine.size and theirs.size:
        with np.errstate(over="ignore"):
            figures = float(mine.mean()), float(theirs.mean())
        if all(map(math.isfinite, figures)):
            measures["score_primary"], measures["score_candidate"] = figures
    return Outcome(outcome.agrees, outcome.distance, measures, outcome.reason)


def _floats(tensor: Tensor) -> bool:
    return kind_of(tensor) == "float"


def _rows(tensors: list[Tensor]) -> Array:
    scores = np.concatenate([_scores(numbers(tensor)) for tensor in tensors])
    finite: Array = scores[np.isfinite(scores)]
    return finite


def _scores(array: Array) -> Array:
    if array.ndim < 2 or not array.size:
        return doubles(array.reshape(-1))
    rows = array.reshape(-1, array.shape[-1])
    return doubles(rows[:, -1] if rows.shape[1] <= 2 else rows.max(1))
