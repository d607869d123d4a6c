"""The text in a payload: the only doors through which redaction reads and writes it.

Text are the elements of BYTES tensors that are UTF-8. Others are reported with None, so that a
policy can refuse them; numeric tensors have no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from protos.arrays import join_bytes, split_bytes
from protos.values import Payload, Tensor, Tensors


@dataclass(frozen=True, slots=True)
class Text:
    """One element: which tensor's, its row-major index, and its text, None if it is not UTF-8."""

    tensor: str
    index: int
    text: str | None


def texts(payload: Payload) -> list[Text]:
    """All texts of the payload, in the order that `with_texts` takes them back."""
    return [
        Text(tensor.name, index, _decode(element))
        for tensor in payload.tensors
        if tensor.datatype == "BYTES"
        for index, element in enumerate(split_bytes(tensor.data))
    ]


def with_texts(payload: Payload, texts: Sequence[str | None]) -> Payload:
    """The payload with its texts replaced; None leaves an element as it is.

    Raises ValueError if there are not as many as `texts` gave.
    """
    tensors: list[Tensor] = []
    at = 0
    for tensor in payload.tensors:
        if tensor.datatype != "BYTES":
            tensors.append(tensor)
            continue
        before = split_bytes(tensor.data)
        given = texts[at : at + len(before)]
        if len(given) < len(before):
            raise ValueError(f"{len(texts)} texts were given, the payload has more")
        at += len(before)
        after = [
            old if new is None else new.encode() for old, new in zip(before, given, strict=True)
        ]
        tensors.append(tensor if after == before else replace(tensor, data=join_bytes(after)))
    if at < len(texts):
        raise ValueError(f"{len(texts)} texts were given, the payload has {at}")
    return Tensors(tuple(tensors), payload.wanted)


def _decode(element: bytes) -> str | None:
    try:
        return element.decode()
    except UnicodeDecodeError:
        return None
