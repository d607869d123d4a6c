"""Chooses a comparison by what the primary's outputs are, whatever the candidate's are.

- either answer in several parts, and BYTES among them: `tokens`, which looks at these alone;
- BYTES that are JSON objects or arrays: `json`; other UTF-8: `text`; else: `tensor`;
- floats, if no other output has floats and its rows are probabilities (none negative, sum 1):
  `label`;
- all else: `tensor`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from protos.arrays import to_array
from protos.route.mirror import Compare
from protos.values import Tensor
from routing.compare import json_fields, label, tensor, text, tokens
from routing.compare.outputs import Answer, doubles, kind_of, numbers, only
from routing.compare.settled import Settled, together
from routing.shadow.record import Outcome

# Rows of FP16 or BF16 probabilities miss 1 by as much.
_SUM_WITHIN = 1e-2

Comparison = Callable[[Answer, Answer, Compare], Outcome]


def compare(primary: Answer, candidate: Answer, how: Compare) -> Outcome:
    """Every output by the comparison for it; `distance` is the largest. Raises Settled."""
    outputs = {output.name: output for part in reversed(primary) for output in part}
    streamed = len(primary) > 1 or len(candidate) > 1
    if streamed and any(kind_of(output) == "bytes" for output in outputs.values()):
        return tokens.compare(primary, candidate, how)
    lone = sum(kind_of(output) == "float" for output in outputs.values()) == 1
    documents: dict[str, list[Any]] = {}
    as_json = partial(json_fields.compare, documents=documents)
    chosen: dict[Comparison, set[str]] = {}
    for name, output in outputs.items():
        comparison = as_json if _holds_json(output, documents) else _comparison(output, lone)
        chosen.setdefault(comparison, set()).add(name)
    if len(chosen) == 1:
        (comparison,) = chosen
        return comparison(primary, candidate, how)
    return together(
        [
            _outcome(comparison, only(primary, names), only(candidate, names), how)
            for comparison, names in chosen.items()
        ]
    )


def _comparison(output: Tensor, lone: bool) -> Comparison:
    match kind_of(output):
        case "bytes":
            texts = all(map(_is_text, to_array(output).reshape(-1)))
            return text.compare if texts else tensor.compare
        case "float" if lone and _probabilities(output):
            return label.compare
    return tensor.compare


def _outcome(comparison: Comparison, primary: Answer, candidate: Answer, how: Compare) -> Outcome:
    try:
        return comparison(primary, candidate, how)
    except Settled as settled:
        return settled.outcome


def _probabilities(output: Tensor) -> bool:
    if not 1 <= len(output.shape) <= 2 or output.shape[-1] < 2:
        return False
    rows = doubles(numbers(output))
    if not rows.size or not rows.min() >= 0:  # NaN isn't either
        return False
    return bool((np.abs(rows.sum(-1) - 1) <= _SUM_WITHIN).all())


def _holds_json(output: Tensor, documents: dict[str, list[Any]]) -> bool:
    """Whether all elements are objects or arrays, which are put into `documents`.

    A text such as `42` or `true` is more likely a text. What looks like JSON and is too large to
    be read is taken for JSON, which refuses it.
    """
    if kind_of(output) != "bytes":
        return False
    elements = to_array(output).reshape(-1)
    if not len(elements) or any(each.lstrip()[:1] not in (b"{", b"[") for each in elements):
        return False
    try:
        json_fields.refuse_large(output.name, elements)
        documents[output.name] = [json_fields.parsed(element) for element in elements]
    except Settled:
        return True
    except (ValueError, RecursionError):
        return False
    return True


def _is_text(element: bytes) -> bool:
    try:
        element.decode()
    except UnicodeDecodeError:
        return False
    return True
