"""A request body that is one tensor and nothing else; names and shape come from the model."""

from protos.arrays import count, mismatch
from protos.datatypes import DATATYPES
from protos.errors import invalid
from protos.values import Signature, Tensor, TensorSpec
from protos.wording import quote


def read_raw(body: bytes, signature: Signature | None) -> Tensor:
    """The body as the model's only input; one variable dimension follows from its size.

    Where there are more, the number of rows is one. Raises PenstockError INVALID if that is not
    enough to know the shape, or if the size disagrees with it.
    """
    if signature is None or len(signature.inputs) != 1:
        raise invalid("a body that is one raw tensor needs a model with exactly one input")
    spec = signature.inputs[0]
    where = f"input {quote(spec.name)}"
    shape = list(spec.shape)
    itemsize = DATATYPES[spec.datatype].itemsize
    if not itemsize:
        return _raw_text(body, spec, where)
    if signature.max_batch_size and shape.count(-1) > 1:
        shape[0] = 1
    if shape.count(-1) > 1:
        raise invalid(f"{where}: the shape {list(spec.shape)} doesn't follow from the body's size")
    if -1 in shape:
        rest = itemsize
        for size in shape:
            rest *= size if size != -1 else 1
        shape[shape.index(-1)] = len(body) // rest if rest else 0
    tensor = Tensor(spec.name, spec.datatype, tuple(shape), body)
    why = mismatch(tensor)
    if why is not None:
        raise invalid(f"{where}: {why}")
    return tensor


def _raw_text(body: bytes, spec: TensorSpec, where: str) -> Tensor:
    """A raw body for a BYTES input is its one element, without a length before it."""
    shape = tuple([1 if size == -1 else size for size in spec.shape])
    if count(shape) != 1:
        raise invalid(f"{where}: a raw body is one element, the model takes {list(spec.shape)}")
    return Tensor(spec.name, spec.datatype, shape, len(body).to_bytes(4, "little") + body)
