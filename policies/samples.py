"""The filter that keeps a share of requests and replies, so that drift can be looked at.

It stands directly below privacy, so what it keeps of a request is what the model was given. What it
keeps of a reply is redacted before it is written, off the way of requests (`gateway/audit`).
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import orjson

from protos.service import Reply, Service
from protos.values import InferRequest, OpenAi, Part, Payload

LARGEST = 256 * 1024  # bytes of a request and its reply together
MOST_PARTS = 4096


@dataclass(slots=True)
class Sample:
    """A request as the model got it, at that Unix time, and the parts of the whole reply."""

    at: float
    request: InferRequest
    parts: list[Part] = field(default_factory=list)
    size: int = 0


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
        sample = Sample(self._wall(), request, size=_size(request.payload))
        reply = await service(request)
        sample.parts.append(reply.first)
        sample.size += _size(reply.first.payload)
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
        if complete and sample.size <= LARGEST and len(sample.parts) <= MOST_PARTS:
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
        sample = self._sample
        sample.size += _size(part.payload)
        if sample.size <= LARGEST and len(sample.parts) <= MOST_PARTS:
            sample.parts.append(part)
        return part

    def end(self, *, complete: bool) -> None:
        if not self._over:
            self._over = True
            self._samples.take(self._sample, complete=complete)


def _size(payload: Payload) -> int:
    if isinstance(payload, OpenAi):
        return len(orjson.dumps(payload.body))
    return sum([len(tensor.data) for tensor in payload.tensors])
