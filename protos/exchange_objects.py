"""OpenAI's objects on the exchange: which one, and its JSON, in place of tensors.

JSON passes as it was read: keys keep their order, numbers the form that a double or a 64-bit
integer has.
"""

import orjson

from protos import exchange_pb2 as pb
from protos.errors import invalid
from protos.exchange_wire import varint
from protos.values import Chat, Embedding, OpenAi, Payload, Prompt, Tensors

Tags = tuple[bytes, bytes]  # of the two fields, field number << 3 | wire type

IN_CALL: Tags = (b"\x80\x01", b"\x8a\x01")
IN_PART: Tags = (b"\x58", b"\x62")

_TYPES: dict[int, type[Chat] | type[Prompt] | type[Embedding]] = {
    pb.CHAT: Chat,
    pb.PROMPT: Prompt,
    pb.EMBEDDING: Embedding,
}
_NUMBERS: dict[type[OpenAi], bytes] = {type_: bytes([number]) for number, type_ in _TYPES.items()}


def add_object(pieces: list[bytes], tags: Tags, payload: OpenAi) -> None:
    body = orjson.dumps(payload.body)
    kind, content = tags
    pieces += (kind, _NUMBERS[type(payload)], content, varint(len(body)), body)


def read_object(message: pb.Call | pb.Part) -> Chat | Prompt | Embedding:
    """The object of a message that has one; raises INVALID for another kind, and for other JSON."""
    kind = _TYPES.get(message.object)
    if kind is None:
        raise invalid(f"the kind of object {message.object} isn't known")
    try:
        body = orjson.loads(message.body)
    except orjson.JSONDecodeError:
        raise invalid("the object isn't JSON") from None
    if not isinstance(body, dict):
        raise invalid("the object is some other JSON")
    return kind(body, len(message.body))


def bytes_of(payload: Payload | OpenAi) -> int:
    """How large a payload is: its tensors' data, or its JSON."""
    if isinstance(payload, Tensors):
        return sum([len(tensor.data) for tensor in payload.tensors])
    return payload.size or len(orjson.dumps(payload.body))
