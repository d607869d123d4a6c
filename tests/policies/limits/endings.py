"""Backends that answer and fail in every way, and clients that read and leave."""

import asyncio
from collections.abc import AsyncIterator

from policies.limits.filter import Limits
from protos.errors import PenstockError
from protos.service import Reply, Service
from protos.usage import measure
from protos.values import Chat, InferRequest, Part
from tests.policies.limits.limited import request

CHUNK = {"choices": [{"delta": {"content": "x"}}]}
PROMPT = 10  # tokens of the prompt, estimated
CHAT = Chat({"messages": [{"content": "x" * 4 * PROMPT}], "max_tokens": 50})


def chat(of, **more):
    return request(of, payload=CHAT, **more)


def answering(*bodies: dict[str, object], compute_us: int = 0) -> Service:
    """A backend whose reply has these parts, measured as the exchange does it."""
    parts = [
        Part(Chat(body), "1", {}, body is bodies[-1], compute_us=compute_us, batch_rows=1)
        for body in bodies
    ]

    async def answer(request: InferRequest) -> Reply:
        timeline = request.context.timeline
        timeline.began = 1.0
        measure(timeline.used, request, parts[0])

        async def rest() -> AsyncIterator[Part]:
            for part in parts[1:]:
                measure(timeline.used, request, part)
                yield part

        return Reply(parts[0], rest() if parts[1:] else None)

    return answer


def failing(error: BaseException, *, asked: bool = True) -> Service:
    async def fail(request: InferRequest) -> Reply:
        request.context.timeline.began = 1.0 if asked else 0.0
        raise error

    return fail


def use(limits: Limits, given: InferRequest, by: Service, parts: int = 100) -> None:
    """Asks, reads so many parts and closes; failures are as good as answers here."""

    async def read() -> None:
        try:
            reply = await limits(given, by)
        except (PenstockError, asyncio.CancelledError, RuntimeError):
            return
        if reply.rest is not None:
            for _ in range(parts - 1):
                if await anext(reply.rest, None) is None:
                    break
        reply.on_close()

    asyncio.run(read())


def left(limits: Limits, key: str = "acme") -> float:
    (allowance,) = limits._allowances.values()
    return allowance.left(key, limits._clock())
