"""The two nouns of the request path: a Service answers a request, a Filter stands before one.

After Finagle ("Your Server as a Function", Eriksen 2013). Awaiting a Service returns when the first
part of the reply exists, so whatever retries must do so before: "never after the first part" needs
no rule, it can't be written.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from protos.values import InferRequest, Part


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that owns its resources: `on_close` must be called once, when it has been sent.

    `rest` yields the parts after the first, and is None for a unary reply. Closing before the last
    part cancels the work down to the backend's queue.
    """

    first: Part
    rest: AsyncIterator[Part] | None = None
    on_close: Callable[[], None] = _nothing


Service = Callable[[InferRequest], Awaitable[Reply]]
Filter = Callable[[InferRequest, Service], Awaitable[Reply]]


def stack(filters: Sequence[Filter], service: Service) -> Service:
    """The filters, first one outermost, before the service."""
    for each in reversed(filters):
        service = _before(each, service)
    return service


def _before(filter_: Filter, service: Service) -> Service:
    # Returns the filter's awaitable itself: one coroutine a filter, not two.
    def filtered(request: InferRequest) -> Awaitable[Reply]:
        return filter_(request, service)

    return filtered
