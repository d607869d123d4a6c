"""Streamed replies through the privacy filter: `python -m benchmarks.pii_streams`.

First 10,000 random ways to cut replies, in every form, against the uncut ones. Then what a token
waits: how long the filter works on it, and how many tokens later its last character is given out.
"""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator
from math import inf

from rich.console import Console
from rich.table import Table

from benchmarks.pii import prose, with_findings
from policies.privacy import Privacy
from protos.principal import Principal
from protos.service import Reply
from protos.timeline import Timeline
from protos.values import Chat, Context, InferRequest, Part, Tensors
from tests.policies.streamed import FORMS, ROUTE, differences, filtering, losses

CUTTINGS = 10_000
TEXTS = 40
TOKEN = 4  # characters, as tokens of English have


async def cuttings(console: Console) -> None:
    rng, filter_ = random.Random(1), filtering()
    made = different = lost = 0
    while made < CUTTINGS:
        for form in FORMS:
            different += await differences(form, rng, filter_, 10)
            lost += await losses(form, rng, filter_, 10)
            made += 20
    console.print(
        f"{made:,} cuttings: {different} differ from the uncut reply, {lost} lost a value"
    )


async def waits(filter_: Privacy, text: str) -> tuple[list[float], list[int]]:
    """Microseconds that the filter takes for each token, and by how many tokens text is late."""
    tokens = [text[at : at + TOKEN] for at in range(0, len(text), TOKEN)]
    taken: list[float] = []
    late: list[int] = []
    begun = 0.0

    async def chunks() -> AsyncIterator[Part]:
        nonlocal begun
        for token in tokens:
            begun = time.thread_time()
            yield _chunk(token)
        yield Part(Tensors(()), "1", {}, final=True)

    async def model(request: InferRequest) -> Reply:
        return Reply(_chunk(""), chunks())

    context = Context(Principal("u", "acme", frozenset()), inf, Timeline(0.0), route=ROUTE)
    asked = InferRequest("", "m", "", Chat({"messages": []}), {}, context)
    reply = await filter_(asked, model)
    given = 0
    async for part in reply.rest or chunks():
        if isinstance(part.payload, Chat):
            taken.append((time.thread_time() - begun) * 1e6)
            given += len(part.payload.body["choices"][0]["delta"]["content"])
            late.append(len(taken) - given // TOKEN)
    return taken[: len(tokens)], late[: len(tokens)]


def _chunk(text: str) -> Part:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return Part(Chat({"id": "c", "model": "m", "choices": [choice]}), "1", {}, final=False)


async def latency(console: Console) -> None:
    rng, filter_ = random.Random(2), filtering()
    table = Table("a stream of", "µs a token, p50", "p99", "tokens late, mean", "p99")
    for name, texts in (
        ("prose", [prose(rng) for _ in range(TEXTS)]),
        ("prose with 30 findings in 2 KB", [with_findings(rng, 30) for _ in range(TEXTS)]),
    ):
        taken: list[float] = []
        late: list[int] = []
        for text in texts:
            found = await waits(filter_, text)
            taken += found[0]
            late += found[1]
        taken.sort()
        late.sort()
        table.add_row(
            name,
            f"{taken[len(taken) // 2]:.1f}",
            f"{taken[len(taken) * 99 // 100]:.1f}",
            f"{statistics.mean(late):.1f}",
            f"{late[len(late) * 99 // 100]}",
        )
    console.print(table)


async def main() -> None:
    console = Console()
    await latency(console)
    await cuttings(console)


if __name__ == "__main__":
    asyncio.run(main())
