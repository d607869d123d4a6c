"""A batch's inputs put together from its requests, and its outputs given back to them.

Inputs are copied once, into arrays of the size that is executed; a request that fills its batch
alone is not copied at all. What the filling adds is cut off again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from backends.batching.bucket import length_of, next_size
from backends.batching.job import BatchPolicy, Bucket, ModelKey, PadRule
from backends.batching.queued import Queued
from backends.runtime import Arrays
from protos.datatypes import Array
from protos.errors import Kind, PenstockError
from protos.values import Signature


class Reason(Enum):
    """Why a batch was closed when it was."""

    IDLE = "idle"  # the device was free and keeps up without batching
    FULL = "full"
    DEADLINE = "deadline"  # more waiting would have missed one
    DELAY = "delay"  # the oldest request waited as long as the policy lets it
    QUIET = "quiet"  # nothing more came
    ALONE = "alone"  # a model without batch dimension, or a suspect
    BISECT = "bisect"  # half of a batch that failed


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What executes together: `rows` of requests, filled up to `padded_rows`.

    `predicted` is in seconds; 0 if nothing is known yet.
    """

    key: ModelKey
    policy: BatchPolicy
    bucket: Bucket
    pieces: Sequence[Queued]
    rows: int
    padded_rows: int
    reason: Reason
    predicted: float


def assemble(batch: Batch) -> dict[str, Array]:
    """The arrays to execute, by input name, of `padded_rows` rows and the bucket's dimensions.

    Rows are filled up with copies of the first one, which the model surely takes; lengths with the
    rules' values. A lone request that needs neither goes through as it is.
    """
    if not batch.policy.max_rows:
        return _assemble_one(batch)
    arrays: dict[str, Array] = {}
    for name, _, dimensions in batch.bucket:
        whole = (batch.padded_rows, *dimensions)
        first = _rows_of(batch.pieces[0], name)
        if first.shape == whole:
            arrays[name] = first
            continue
        target = np.empty(whole, first.dtype)
        at = 0
        for piece in batch.pieces:
            part = _rows_of(piece, name)
            _place(target[at : at + piece.rows], part, name, batch.policy)
            at += piece.rows
        target[at:] = target[:1]
        arrays[name] = target
    return arrays


def _assemble_one(batch: Batch) -> dict[str, Array]:
    """For models without batch dimension: one request, its lengths filled up."""
    inputs = batch.pieces[0].job.inputs
    arrays: dict[str, Array] = {}
    for name, _, dimensions in batch.bucket:
        array = inputs[name]
        if array.shape != dimensions:
            target = np.empty(dimensions, array.dtype)
            _place(target, array, name, batch.policy)
            array = target
        arrays[name] = array
    return arrays


def _rows_of(piece: Queued, name: str) -> Array:
    array = piece.job.inputs[name]
    return array if len(array) == piece.rows else array[piece.start : piece.start + piece.rows]


def _place(target: Array, part: Array, name: str, policy: BatchPolicy) -> None:
    if part.shape == target.shape:
        target[...] = part
        return
    filling: float | bytes = b""
    if target.dtype.kind != "O":
        filling = next((rule.values.get(name, 0) for rule in policy.pads if name in rule.axes), 0)
    target[...] = filling
    target[tuple([slice(size) for size in part.shape])] = part


def split(outputs: Arrays, batch: Batch, signature: Signature) -> list[dict[str, Array]]:
    """Each piece's own rows of the outputs, its dimensions cut back to its own lengths.

    The arrays are views. Raises BAD_REPLY if an output has not as many rows as were executed, or
    not the length that its symbol promises.
    """
    cuts = _cuts(signature, batch.policy)
    if not batch.policy.max_rows:
        return [{n: _cut(n, a, batch.pieces[0], cuts.get(n, ())) for n, a in outputs.items()}]
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != batch.padded_rows:
            raise PenstockError(
                Kind.BAD_REPLY,
                f'output "{name}": shape is {list(array.shape)}, the batch had '
                f"{batch.padded_rows} rows",
            )
    parts: list[dict[str, Array]] = []
    at = 0
    for piece in batch.pieces:
        end = at + piece.rows
        part = {name: array[at:end] for name, array in outputs.items()}
        for name, axes in cuts.items():
            if name in part:
                part[name] = _cut(name, part[name], piece, axes)
        parts.append(part)
        at = end
    return parts


def join(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The outputs of a split job's pieces, in the order of its rows; raises BAD_REPLY."""
    try:
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    except (KeyError, ValueError) as error:
        raise PenstockError(
            Kind.BAD_REPLY, "outputs: the parts of a split request don't fit together"
        ) from error


_Axes = Sequence[tuple[int, PadRule]]


def _cuts(signature: Signature, policy: BatchPolicy) -> dict[str, _Axes]:
    """By output name, the axes that carry the symbol of a rule."""
    if not policy.pads:
        return {}
    rules = {rule.symbol: rule for rule in policy.pads}
    found: dict[str, _Axes] = {}
    for spec in signature.outputs:
        axes = [(axis, rules[s]) for axis, s in enumerate(spec.symbols) if s in rules]
        if axes:
            found[spec.name] = axes
    return found


def _cut(name: str, array: Array, piece: Queued, axes: _Axes) -> Array:
    for axis, rule in axes:
        own = length_of(rule, piece.job.inputs)
        if own is None:
            continue
        executed = next_size(rule.sizes, own)
        if axis >= array.ndim or array.shape[axis] != executed:
            raise PenstockError(
                Kind.BAD_REPLY,
                f'output "{name}": shape is {list(array.shape)}, dimension {axis} ({rule.symbol}) '
                f"should be {executed}",
            )
        if own != executed:
            array = array[(slice(None),) * axis + (slice(own),)]
    return array
