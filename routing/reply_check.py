"""Holds a backend's reply against the model's signature: what is no answer must not pass for one.

Backends check their models' outputs themselves; this is for one that is broken, or no backend at
all. It stands where failures are counted, so that who talks nonsense is soon asked no more.
"""

from collections.abc import AsyncIterator

from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import InferRequest, Part, Signature, Tensor, Tensors
from protos.wording import quote


class ReplyCheck:
    """What replies of one model version may be."""

    __slots__ = ("_outputs", "_rows", "_whole")

    def __init__(self, signature: Signature) -> None:
        self._outputs = {
            spec.name: (spec.datatype, len(spec.shape), tuple(_fixed(spec.shape)))
            for spec in signature.outputs
        }
        self._whole = not signature.decoupled  # each reply has all outputs
        self._rows = self._whole and signature.max_batch_size > 0

    def __call__(self, request: InferRequest, reply: Reply) -> Reply:
        """The reply, whose further parts are checked as they come; raises BAD_REPLY."""
        if not isinstance(request.payload, Tensors):
            return reply  # objects are looked at by whoever encodes them
        try:
            self._check(request, reply.first)
        except PenstockError:
            reply.on_close()
            raise
        if reply.rest is None:
            return reply
        return Reply(reply.first, self._rest(request, reply.rest), reply.on_close)

    async def _rest(self, request: InferRequest, parts: AsyncIterator[Part]) -> AsyncIterator[Part]:
        async for part in parts:
            self._check(request, part)
            yield part

    def _check(self, request: InferRequest, part: Part) -> None:
        asked, answered = request.payload, part.payload
        if not isinstance(answered, Tensors) or not isinstance(asked, Tensors):
            raise _bad("it is no tensors")
        tensors = answered.tensors
        for tensor in tensors:
            output = self._outputs.get(tensor.name)
            if output is None:
                raise _bad(f"the model has no output {quote(tensor.name)}")
            datatype, rank, fixed = output
            if tensor.datatype != datatype:
                raise _bad(f"output {quote(tensor.name)} is {tensor.datatype}, not {datatype}")
            shape = tensor.shape
            if len(shape) != rank or (self._rows and shape[0] != asked.tensors[0].shape[0]):
                raise _shape(tensor)
            for axis, size in fixed:
                if shape[axis] != size:
                    raise _shape(tensor)
        if self._whole and len(tensors) != len(set(asked.wanted) or self._outputs):
            raise _bad("not all outputs are there")


def _fixed(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(axis, size) for axis, size in enumerate(shape) if size != -1]


def _shape(tensor: Tensor) -> PenstockError:
    return _bad(f"output {quote(tensor.name)} has the shape {list(tensor.shape)}")


def _bad(why: str) -> PenstockError:
    return PenstockError(Kind.BAD_REPLY, f"the backend's reply is wrong: {why}")
