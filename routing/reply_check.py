"""Holds a backend's reply against the model's signature: what is no answer must not pass for one.

Backends check their models' outputs themselves; this is for one that is broken, or no backend at
all. It stands where failures are counted, so that who talks nonsense is soon asked no more.
"""

from collections.abc import AsyncIterator

from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import InferRequest, Part, Signature, Tensor, Tensors
from protos.wording import quote

_NOBODYS = -1  # the bits of an output that the model doesn't have: nothing equals them


class ReplyCheck:
    """What replies of one model version may be."""

    __slots__ = ("_all", "_outputs", "_rows", "_whole")

    def __init__(self, signature: Signature) -> None:
        self._outputs = {
            spec.name: (spec.datatype, len(spec.shape), tuple(_fixed(spec.shape)), 1 << bit)
            for bit, spec in enumerate(signature.outputs)
        }
        self._all = (1 << len(self._outputs)) - 1  # a bit for each output
        self._whole = not signature.decoupled  # each reply has all outputs
        # A backend may claim to batch and have an output without dimensions.
        self._rows = (
            self._whole
            and signature.max_batch_size > 0
            and all(spec.shape for spec in signature.outputs)
        )

    def __call__(self, request: InferRequest, reply: Reply) -> Reply:
        """The reply, whose further parts are checked as they come; raises BAD_REPLY."""
        asked = request.payload
        if not isinstance(asked, Tensors):
            return reply  # objects are looked at by whoever encodes them
        try:
            self._check(asked, reply.first)
        except BaseException:
            reply.on_close()
            raise
        if reply.rest is None:
            return reply
        return Reply(reply.first, self._rest(asked, reply.rest), reply.on_close)

    async def _rest(self, asked: Tensors, parts: AsyncIterator[Part]) -> AsyncIterator[Part]:
        async for part in parts:
            self._check(asked, part)
            yield part

    def _check(self, asked: Tensors, part: Part) -> None:
        answered = part.payload
        if not isinstance(answered, Tensors):
            raise _bad("it is no tensors")
        tensors, outputs, found = answered.tensors, self._outputs, 0
        # What is asked may have no rows either: then the backend should have refused it.
        given = asked.tensors[0].shape if self._rows and asked.tensors else ()
        for tensor in tensors:
            output = outputs.get(tensor.name)
            if output is None:
                raise _bad(f"the model has no output {quote(tensor.name)}")
            datatype, rank, fixed, bit = output
            found |= bit
            if tensor.datatype != datatype:
                raise _bad(f"output {quote(tensor.name)} is {tensor.datatype}, not {datatype}")
            shape = tensor.shape
            if len(shape) != rank or (given and shape[0] != given[0]):
                raise _shape(tensor)
            for axis, size in fixed:
                if shape[axis] != size:
                    raise _shape(tensor)
        if self._whole:
            expected = self._all
            if wanted := asked.wanted:
                expected = 0
                for name in wanted:
                    expected |= outputs[name][3] if name in outputs else _NOBODYS
            if found != expected or len(tensors) != found.bit_count():
                raise _bad("it has other outputs than were asked for, or not each of them once")


def _fixed(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(axis, size) for axis, size in enumerate(shape) if size != -1]


def _shape(tensor: Tensor) -> PenstockError:
    return _bad(f"output {quote(tensor.name)} has the shape {list(tensor.shape)}")


def _bad(why: str) -> PenstockError:
    return PenstockError(Kind.BAD_REPLY, f"the backend's reply is wrong: {why}")
