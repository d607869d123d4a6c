"""The budget skeleton: every filter of the design as a stub which burns the time it is allowed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

COSTS_US = {  # from the design's budget; together 33
    "observe": 6,
    "authenticate": 4,
    "admit": 2,
    "match": 4,
    "limits": 4,
    "redact": 1,
    "split": 2,
    "cache": 8,
    "mirror": 1,
    "pick": 1,
}


@dataclass(frozen=True, slots=True)
class Request:
    id: str
    model: str
    version: str
    payload: bytes
    parameters: dict[str, object]
    context: object


@dataclass(frozen=True, slots=True)
class Reply:
    first: bytes
    rest: object = None
    on_close: Callable[[], None] | None = None


Service = Callable[[Request], Awaitable[Reply]]
Filter = Callable[[Request, Service], Awaitable[Reply]]


def stub(microseconds: float) -> Filter:
    cost = int(microseconds * 1000)

    async def filter(request: Request, following: Service) -> Reply:
        if cost:
            end = time.perf_counter_ns() + cost
            while time.perf_counter_ns() < end:
                pass
        return await following(request)

    return filter


def chain(filters: list[Filter], service: Service) -> Service:
    for one in reversed(filters):
        service = _bind(one, service)
    return service


def _bind(one: Filter, following: Service) -> Service:
    def bound(request: Request) -> Awaitable[Reply]:
        return one(request, following)

    return bound
