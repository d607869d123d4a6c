"""The tensor datatypes of the Open Inference Protocol V2 and what each means in bytes."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["bool", "unsigned", "signed", "float", "bytes"]


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype: its wire name, bytes an element (0: variable) and little-endian NumPy dtype.

    BF16 has no NumPy dtype; its elements are carried as their 16 raw bits. BYTES elements are
    carried as Python `bytes` in object arrays.
    """

    name: str
    itemsize: int
    dtype: np.dtype[Any]
    kind: Kind


def _row(name: str, code: str, kind: Kind) -> Datatype:
    dtype = np.dtype(code)
    return Datatype(name, 0 if kind == "bytes" else dtype.itemsize, dtype, kind)


DATATYPES: dict[str, Datatype] = {
    row.name: row
    for row in (
        _row("BOOL", "?", "bool"),
        _row("UINT8", "<u1", "unsigned"),
        _row("UINT16", "<u2", "unsigned"),
        _row("UINT32", "<u4", "unsigned"),
        _row("UINT64", "<u8", "unsigned"),
        _row("INT8", "<i1", "signed"),
        _row("INT16", "<i2", "signed"),
        _row("INT32", "<i4", "signed"),
        _row("INT64", "<i8", "signed"),
        _row("FP16", "<f2", "float"),
        _row("FP32", "<f4", "float"),
        _row("FP64", "<f8", "float"),
        _row("BF16", "<u2", "float"),
        _row("BYTES", "O", "bytes"),
    )
}

# NumPy's names back to the protocol's; BF16 shares its bits' dtype with UINT16 and is left out.
NAMES: dict[np.dtype[Any], str] = {
    row.dtype: row.name for row in DATATYPES.values() if row.name != "BF16"
}

Array = npt.NDArray[Any]
