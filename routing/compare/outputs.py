"""Answers as their outputs, and the outputs of two answers side by side."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from protos.arrays import to_array
from protos.datatypes import DATATYPES, Array, Kind
from protos.openai.said import outputs_of
from protos.values import Part, Tensor
from protos.wording import quote
from routing.compare.settled import differ, incomparable

# The outputs of each part that has any: some backends end a stream with an empty part.
Answer = tuple[tuple[Tensor, ...], ...]

# So many elements are looked at in one go: their float64 copies stay in a core's cache.
CHUNK = 1 << 16

_INTEGERS: set[Kind] = {"unsigned", "signed"}


@dataclass(frozen=True, slots=True)
class Pair:
    """One output of one part, of both answers."""

    name: str
    primary: Tensor
    candidate: Tensor


def answer_of(parts: Sequence[Part], output: str) -> Answer:
    """The answer's outputs, or only the named one, of OpenAI's objects what they say.

    Raises Settled if a part has a name twice, PenstockError for an object that can't be read.
    """
    answer = []
    for part in parts:
        tensors = outputs_of(part.payload)
        if output:
            tensors = tuple([tensor for tensor in tensors if tensor.name == output])
        if len(tensors) > 1 and len({tensor.name for tensor in tensors}) < len(tensors):
            raise incomparable("an answer has two outputs of the same name")
        if tensors:
            answer.append(tensors)
    return tuple(answer)


def only(answer: Answer, names: Collection[str]) -> Answer:
    """The answer without its other outputs."""
    parts = [tuple([tensor for tensor in part if tensor.name in names]) for part in answer]
    return tuple([part for part in parts if part])


def side_by_side(
    primary: Answer, candidate: Answer, fits: Callable[[Tensor], bool], what: str
) -> list[Pair]:
    """The primary's outputs that fit, each with the candidate's of the same part and name.

    What the candidate has beyond them serves every client of the primary, so it doesn't count.
    Raises Settled: incomparable if no output fits (`what` says what does), differing if the
    candidate has other parts or lacks an output.
    """
    selected = [[tensor for tensor in part if fits(tensor)] for part in primary]
    if not any(selected):
        raise incomparable(f"{_outputs(primary)}; this comparison takes {what}")
    if len(candidate) != len(primary):
        raise differ(f"an answer of {_parts(primary)} against {_parts(candidate)}")
    pairs = []
    for tensors, others in zip(selected, candidate, strict=True):
        for tensor in tensors:
            other = next((other for other in others if other.name == tensor.name), None)
            if other is None:
                raise differ(f"the candidate has no output {quote(tensor.name)}")
            pairs.append(Pair(tensor.name, tensor, other))
    return pairs


def kind_of(tensor: Tensor) -> Kind:
    """Raises Settled, incomparable, for a datatype that there isn't."""
    row = DATATYPES.get(tensor.datatype)
    if row is None:
        raise incomparable(f"output {quote(tensor.name)}: its datatype isn't known")
    return row.kind


def same_shape(pair: Pair) -> None:
    """Raises Settled if not."""
    if pair.primary.shape != pair.candidate.shape:
        raise differ(
            f"output {quote(pair.name)}: shape {_shape(pair.primary)} "
            f"against {_shape(pair.candidate)}"
        )


def same_family(pair: Pair) -> None:
    """Raises Settled if not both are floats, whole numbers, BOOL or BYTES, of whatever width."""
    kind, other = kind_of(pair.primary), kind_of(pair.candidate)
    if kind != other and not {kind, other} <= _INTEGERS:
        raise differ(
            f"output {quote(pair.name)}: {pair.primary.datatype} against {pair.candidate.datatype}"
        )


def numbers(tensor: Tensor) -> Array:
    """As `to_array`, but BF16 as the float32 that its bits begin."""
    array = to_array(tensor)
    if tensor.datatype == "BF16":
        return (array.astype("<u4") << 16).view("<f4")
    return array


def doubles(array: Array) -> Array:
    return array.astype(np.float64)


def _outputs(answer: Answer) -> str:
    first = answer[0]
    if len(first) == 1:
        return f"output {quote(first[0].name)} is {first[0].datatype}{_shape(first[0])}"
    return f"none of the {len(first)} outputs fits"


def _parts(answer: Answer) -> str:
    return f"{len(answer)} part" if len(answer) == 1 else f"{len(answer)} parts"


def _shape(tensor: Tensor) -> str:
    shape = tensor.shape
    if len(shape) > 8:
        return f"of {len(shape)} dimensions"
    return f"[{','.join(map(str, shape))}]"
