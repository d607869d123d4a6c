"""The filter that keeps a share of requests and replies, so that drift can be looked at.

It stands directly below privacy, so what it keeps of a request is what the model was given. What it
keeps of a reply is redacted before it is written, off the way of requests (`gateway/audit`).
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import orjson

from protos.service import Reply, Service
from protos.values import Context, InferRequest, OpenAi, Part, Payload, Tensors

LARGEST = 256 * 1024  # bytes of a request and its reply together
MOST_PARTS = 4096
_PART = 512  # bytes of memory that a part takes besides its data

_NOTHING = Tensors(())


class Sample:
    """A request as the model got it, at that Unix time, and the parts of the whole reply.

    Objects are kept as their JSON, which takes a tenth of the memory. `size` is how many bytes of
    data there are, `held` about how much memory they take.
    """

    __slots__ = ("_asked", "_said", "at", "context", "held", "model", "size")

    def __init__(self, at: float, request: InferRequest) -> None:
        self.at = at
        self.model = request.model
        self.context: Context = request.context
        self.size = self.held = 0
        self._asked = self._kept(request.payload)
        self._said: list[tuple[Part, _Kept]] = []

    @property
    def complete(self) -> bool:
        """Whether all of it is there: nothing was too large."""
        return self.size <= LARGEST and len(self._said) <= MOST_PARTS

    def add(self, part: Part) -> None:
        """The reply's next part."""
        kept = self._kept(part.payload)
        if self.complete:
            self._said.append((replace(part, payload=_NOTHING), kept))

    @property
    def asked(self) -> Payload:
        return _payload(self._asked)

    @property
    def parts(self) -> list[Part]:
        return [replace(part, payload=_payload(kept)) for part, kept in self._said]

    def _kept(self, payload: Payload) -> "_Kept":
        kept: _Kept
        if isinstance(payload, Tensors):
            kept = payload
            size = sum([len(tensor.data) for tensor in payload.tensors])
        else:
            kept = _encoded(payload)
            size = len(kept[1]) or LARGEST + 1
        self.size += size
        self.held += size + _PART
        return kept


_Kept = Tensors | tuple[type[OpenAi], bytes]


class Samples:
    """The filter; `rng` gives [0, 1), `sink` takes samples and counts what it drops.

    `left_out` counts what was too large, or didn't come to its end.
    """

    def __init__(
        self,
        rng: Callable[[], float],
        sink: Callable[[Sample], object],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._rng = rng
        self._sink = sink
        self._wall = wall
        self.left_out = 0

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        route = request.context.route
        if route is None or route.spec.audit is None:
            return service(request)
        share = route.spec.audit.payloads
        if not share or self._rng() >= share:
            return service(request)
        return self._sampled(request, service)

    async def _sampled(self, request: InferRequest, service: Service) -> Reply:
        sample = Sample(self._wall(), request)
        reply = await service(request)
        sample.add(reply.first)
        if reply.rest is None:
            self.take(sample, complete=True)
            return reply
        watched = _Watched(reply.rest, sample, self)

        def close() -> None:
            reply.on_close()
            watched.end(complete=False)  # unless it was seen already

        return Reply(reply.first, watched, close)

    def take(self, sample: Sample, *, complete: bool) -> None:
        """The reply is over."""
        if complete and sample.complete:
            self._sink(sample)
        else:
            self.left_out += 1


class _Watched(AsyncIterator[Part]):
    """Not a generator: one that is left before its end would need a task to be closed."""

    __slots__ = ("_over", "_rest", "_sample", "_samples")

    def __init__(self, rest: AsyncIterator[Part], sample: Sample, samples: Samples) -> None:
        self._rest = rest
        self._sample = sample
        self._samples = samples
        self._over = False

    async def __anext__(self) -> Part:
        try:
            part = await self._rest.__anext__()
        except BaseException as error:
            self.end(complete=isinstance(error, StopAsyncIteration))
            raise
        self._sample.add(part)
        return part

    def end(self, *, complete: bool) -> None:
        if not self._over:
            self._over = True
            self._samples.take(self._sample, complete=complete)


def _encoded(payload: OpenAi) -> tuple[type[OpenAi], bytes]:
    """Empty for what JSON can't hold, which is no reason to fail the request."""
    try:
        written = orjson.dumps(payload.body, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        return type(payload), b""
    # A copy: what orjson gives keeps the buffer of kilobytes that it was written in.
    return type(payload), bytes(memoryview(written))


def _payload(kept: _Kept) -> Payload:
    if isinstance(kept, Tensors):
        return kept
    made: Payload = kept[0](orjson.loads(kept[1]))  # type: ignore[assignment]
    return made
