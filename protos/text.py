"""The text in a payload: the only door through which redaction reads and writes it.

Text are the elements of BYTES tensors that are UTF-8, and the strings of OpenAI's objects. Others
are given out as None, so that a policy can refuse them; numeric tensors have no text.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace

from protos import object_text
from protos.found_text import Text, Walk
from protos.values import Bytes, OpenAi, Payload, Tensor, Tensors

_LENGTH = struct.Struct("<I")  # before each element


def rewriting(payload: Payload, *, reply: bool = False) -> Walk[Payload]:
    """Gives out all texts of the payload, and makes the payload with what is sent for each.

    None leaves a text as it is; where all are left, the result is the payload itself. Raises
    ValueError if two keys of an object would become one.
    """
    if isinstance(payload, OpenAi):
        return object_text.rewriting(payload, reply=reply)
    return _tensors(payload)


def texts(payload: Payload, *, reply: bool = False) -> Iterator[Text]:
    """All texts of the payload, in their order."""
    for each in rewriting(payload, reply=reply):
        if each is not None:
            yield each


def _tensors(payload: Tensors) -> Walk[Tensors]:
    made: list[Tensor] = []
    for tensor in payload.tensors:
        new = (yield from elements(tensor)) if tensor.datatype == "BYTES" else tensor
        made.append(new)
    same = all(new is old for new, old in zip(made, payload.tensors, strict=True))
    return payload if same else Tensors(tuple(made), payload.wanted)


def elements(tensor: Tensor) -> Walk[Tensor]:
    """The same of one BYTES tensor."""
    data = tensor.data
    pieces: list[Bytes] = []
    done = at = index = 0
    while at < len(data):
        start = at + _LENGTH.size
        end = start + _LENGTH.unpack_from(data, at)[0]
        try:
            text = bytes(data[start:end]).decode()
        except UnicodeDecodeError:
            text = None
        written = yield Text(tensor.name, index, text)
        if written is not None and written != text:
            new = written.encode()
            pieces += (data[done:at], _LENGTH.pack(len(new)), new)
            done = end
        at = end
        index += 1
    if not pieces:
        return tensor
    return replace(tensor, data=b"".join((*pieces, data[done:])))
