"""The text in a payload: the only doors through which redaction reads and writes it.

Text are the elements of BYTES tensors that are UTF-8, and the strings of OpenAI's objects. Others
are reported with None, so that a policy can refuse them; numeric tensors have no text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from protos.arrays import join_bytes, split_bytes
from protos.object_text import rewritten
from protos.values import OpenAi, Payload, Tensor, Tensors


@dataclass(frozen=True, slots=True)
class Text:
    """What it is called (a tensor, a key of an object), its row-major index, and the text.

    The text is None for what can't be read: bytes that are not UTF-8, images, token ids. With `key`
    it is a key itself.
    """

    name: str
    index: int
    text: str | None
    key: bool = False


def texts(payload: Payload, *, reply: bool = False) -> Iterator[Text]:
    """All texts of the payload, in the order that `with_texts` takes them back."""
    if isinstance(payload, OpenAi):
        return iter(_of_object(payload, reply))
    return _of_tensors(payload)


def with_texts(payload: Payload, texts: Sequence[str | None], *, reply: bool = False) -> Payload:
    """The payload with its texts replaced; None leaves one as it is.

    Raises ValueError if there are not as many as `texts` gave, or if two keys of an object would
    become one.
    """
    if isinstance(payload, OpenAi):
        return _object_with(payload, texts, reply)
    tensors: list[Tensor] = []
    at = 0
    for tensor in payload.tensors:
        if tensor.datatype != "BYTES":
            tensors.append(tensor)
            continue
        before = split_bytes(tensor.data)
        given = texts[at : at + len(before)]
        if len(given) < len(before):
            raise _miscounted(texts)
        at += len(before)
        after = [
            old if new is None else new.encode() for old, new in zip(before, given, strict=True)
        ]
        tensors.append(tensor if after == before else replace(tensor, data=join_bytes(after)))
    if at < len(texts):
        raise _miscounted(texts)
    return Tensors(tuple(tensors), payload.wanted)


def _of_tensors(payload: Tensors) -> Iterator[Text]:
    for tensor in payload.tensors:
        if tensor.datatype == "BYTES":
            for index, element in enumerate(split_bytes(tensor.data)):
                yield Text(tensor.name, index, _decode(element))


def _of_object(payload: OpenAi, reply: bool) -> list[Text]:
    found: list[Text] = []

    def visit(name: str, text: str | None, key: bool) -> None:
        found.append(Text(name, 0, text, key))

    rewritten(payload, visit, reply=reply)
    return found


def _object_with(payload: OpenAi, texts: Sequence[str | None], reply: bool) -> Payload:
    given = iter(texts)

    def visit(name: str, text: str | None, key: bool) -> str | None:
        try:
            return next(given)
        except StopIteration:
            raise _miscounted(texts) from None

    made = rewritten(payload, visit, reply=reply)
    if next(given, _END) is not _END:
        raise _miscounted(texts)
    return made  # type: ignore[return-value]  # of the payload's own type


_END = object()


def _miscounted(texts: Sequence[str | None]) -> ValueError:
    return ValueError(f"{len(texts)} texts were given, the payload has another number of them")


def _decode(element: bytes) -> str | None:
    try:
        return element.decode()
    except UnicodeDecodeError:
        return None
