"""Inputs to warm a model up with: the owner's samples, or made up from the signature."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from backends.batching.job import BatchPolicy
from backends.models.config import WarmUpConfig
from backends.models.signature import powers
from backends.runtime import Arrays
from protos.datatypes import DATATYPES, Array
from protos.values import Signature, TensorSpec
from protos.wording import quote

MAX_SHAPES = 64
# For a variable dimension of which nothing is known: short, and still enough for a convolution.
GUESSED_LENGTH = 8
_SEED = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """Inputs of one shape that will be executed; `guessed` if nobody said how long they may be."""

    rows: int
    inputs: Arrays
    guessed: bool


def samples(
    signature: Signature, policy: BatchPolicy, config: WarmUpConfig, folder: Path
) -> list[Sample]:
    """One sample for each number of rows and each pad length that the policy executes.

    Where these are too many, all rows with the greatest lengths and all lengths with the most rows.
    Raises ValueError with a sentence if the owner's samples don't fit the signature.
    """
    given = None
    if config.samples:
        file = folder / config.samples
        if file.is_symlink():
            raise ValueError(
                f"warmUp.samples: {config.samples} is a link; put the file itself there"
            )
        given = _read(file, signature)
    rows = (policy.sizes or powers(policy.max_rows)) if policy.max_rows else (1,)
    sizes = [rule.sizes for rule in policy.pads]
    shapes = list(product(rows, *sizes))
    if len(shapes) > MAX_SHAPES:
        longest = tuple(size[-1] for size in sizes)
        shapes = [shape for shape in shapes if shape[0] == rows[-1] or shape[1:] == longest]
    found = []
    for count, *lengths in shapes[-MAX_SHAPES:]:
        by_symbol = {rule.symbol: size for rule, size in zip(policy.pads, lengths, strict=True)}
        if given is None:
            found.append(_made_up(signature, config, count, by_symbol))
        elif (fitted := _fitted(given, policy, count, by_symbol)) is not None:
            found.append(Sample(count, fitted, guessed=False))
    return found


def _made_up(
    signature: Signature, config: WarmUpConfig, rows: int, lengths: Mapping[str, int]
) -> Sample:
    rng = np.random.default_rng(_SEED)
    known = {**config.lengths, **lengths}
    inputs: dict[str, Array] = {}
    guessed = False
    for spec in signature.inputs:
        if spec.optional:
            continue
        shape = list(spec.shape)
        for axis, size in enumerate(shape):
            if size != -1:
                continue
            if axis == 0 and signature.max_batch_size:
                shape[axis] = rows
                continue
            symbol = spec.symbols[axis] if spec.symbols else None
            length = known.get(f"{spec.name}.{axis}") or known.get(symbol or "")
            guessed = guessed or length is None
            shape[axis] = length or GUESSED_LENGTH
        inputs[spec.name] = _filled(spec, tuple(shape), config.data == "zeros", rng)
    return Sample(rows, inputs, guessed)


def _filled(
    spec: TensorSpec, shape: tuple[int, ...], zeros: bool, rng: np.random.Generator
) -> Array:
    row = DATATYPES[spec.datatype]
    if row.kind == "bytes":
        return np.full(shape, b"", object)
    if zeros:
        return np.zeros(shape, row.dtype)
    if spec.datatype == "BF16":
        return (rng.standard_normal(shape, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    if row.kind == "float":
        return rng.standard_normal(shape).astype(row.dtype)
    # 0 and 1 are valid as indices, masks and counts alike.
    return rng.integers(0, 2, shape).astype(row.dtype)


def _read(path: Path, signature: Signature) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as file:
        arrays: dict[str, Array] = {name: file[name] for name in file.files}
    found = {}
    for spec in signature.inputs:
        array = arrays.pop(spec.name, None)
        if array is None:
            if spec.optional:
                continue
            raise ValueError(f"{path.name} has no array {quote(spec.name)}")
        row = DATATYPES[spec.datatype]
        if row.kind == "bytes" and array.dtype.kind == "S":
            array = array.astype(object)
        if array.dtype != row.dtype or not _fits(array, spec):
            raise ValueError(
                f"{path.name}: {quote(spec.name)} is {array.dtype} {list(array.shape)}, the model "
                f"takes {row.dtype} {list(spec.shape)}"
            )
        found[spec.name] = array
    if arrays:
        raise ValueError(f"{path.name}: the model has no input {quote(next(iter(arrays)))}")
    return found


def _fits(array: Array, spec: TensorSpec) -> bool:
    return array.ndim == len(spec.shape) and all(
        want in (-1, have) and have > 0 for have, want in zip(array.shape, spec.shape, strict=True)
    )


def _fitted(
    given: Arrays, policy: BatchPolicy, rows: int, lengths: Mapping[str, int]
) -> Arrays | None:
    """The samples repeated to `rows` and filled up to `lengths`; None if they are longer."""
    fitted = dict(given)
    for rule in policy.pads:
        for name, axis in rule.axes.items():
            if name not in fitted:
                continue
            more = lengths[rule.symbol] - fitted[name].shape[axis]
            if more < 0:
                return None
            widths = [(0, more if at == axis else 0) for at in range(fitted[name].ndim)]
            fitted[name] = np.pad(fitted[name], widths, constant_values=rule.values[name])
    if policy.max_rows:
        fitted = {name: array[np.arange(rows) % len(array)] for name, array in fitted.items()}
    return fitted
