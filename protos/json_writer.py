"""What tensors and parameters look like in JSON. Nothing is written that can't be read back."""

from math import isfinite

import numpy as np

from protos.arrays import split_bytes
from protos.datatypes import DATATYPES, Array
from protos.errors import Kind, PenstockError, invalid
from protos.values import Parameters, Tensor
from protos.wording import quote

RAW_ONLY = frozenset(("FP16", "BF16"))


def data_for_json(tensor: Tensor) -> Array | list[str]:
    """The tensor's elements, flat, as orjson writes them without loss.

    Raises PenstockError INVALID for datatypes that JSON has no form for, BAD_REPLY for values that
    it has none for; the sentence tells the way out.
    """
    row = DATATYPES[tensor.datatype]
    if row.name in RAW_ONLY:
        raise invalid(
            f"output {quote(tensor.name)}: {row.name} has no JSON form; "
            'use infer with the output parameter "binary_data": true'
        )
    if row.kind == "bytes":
        try:
            return [element.decode() for element in split_bytes(tensor.data)]
        except UnicodeDecodeError:
            raise _no_form(tensor, "elements that are not UTF-8") from None
    array = np.frombuffer(tensor.data, row.dtype)
    if row.kind == "float" and not np.isfinite(array).all():
        raise _no_form(tensor, "values that are infinite or not a number")
    return array if array.flags.aligned else array.copy()


def _no_form(tensor: Tensor, what: str) -> PenstockError:
    return PenstockError(
        Kind.BAD_REPLY,
        f"output {quote(tensor.name)} has {what}, which JSON has no form for; "
        'use infer with the output parameter "binary_data": true',
    )


def finite(parameters: Parameters) -> dict[str, bool | int | float | str]:
    """A reply's parameters; infinities and NaN, which JSON would turn to null, are BAD_REPLY."""
    for name, value in parameters.items():
        if type(value) is float and not isfinite(value):
            raise PenstockError(
                Kind.BAD_REPLY, f"parameters: {quote(name)} is not finite, JSON has no form for it"
            )
    return dict(parameters)
