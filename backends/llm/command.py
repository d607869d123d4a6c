"""`penstock backend llm`: serves the language models of a folder."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
import uvloop

from backends.host import Identity, Place, host
from backends.llm.entry import Options
from backends.llm.models import SETTLE
from backends.llm.presence import Presence
from backends.llm.unary import LlmUnary
from backends.llm.worker import LlmWorker
from backends.options import placed
from protos import discovery_pb2 as pb
from protos.garbage import settle
from protos.quantities import seconds, size

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0  # seconds, for models and adapters that come and go
WATCH_EVERY = 0.5  # seconds, over the processes of a model's ranks


class Precision(StrEnum):
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


@placed
def main(
    where: Place,
    model_repository: Annotated[
        Path, typer.Option(help="A folder of Hugging Face model folders (safetensors).")
    ],
    precision: Annotated[
        Precision | None, typer.Option(help="Of weights and cache: fp32, on GPUs bf16.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Keeps the layers' weights in eight bits.")
    ] = False,
    memory_budget: Annotated[
        str,
        typer.Option(help="Of each model's cache: 1GiB, on GPUs most of what is left."),
    ] = "",
    device: Annotated[str, typer.Option(help="Where models run: cpu or cuda:N.")] = "cpu",
    block_size: Annotated[
        int, typer.Option(min=1, max=1024, help="Tokens in a block of the cache.")
    ] = 16,
    step_tokens: Annotated[
        int, typer.Option(min=1, help="The most tokens in a step; long prompts take several.")
    ] = 512,
    step_time: Annotated[
        str, typer.Option(help="Of a step in which long prompts and others meet, such as 20ms.")
    ] = "20ms",
    max_running: Annotated[
        int, typer.Option(min=1, help="Answers that are computed at once; others wait.")
    ] = 64,
    speculate: Annotated[
        int, typer.Option(min=0, max=16, help="Tokens guessed ahead from the text; 0: none.")
    ] = 0,
    adapter_memory: Annotated[
        str, typer.Option(help="Of each model's adapters that nobody uses just now.")
    ] = "256MiB",
    max_in_flight: Annotated[
        int, typer.Option(min=1, help="Calls under way, waiting ones included; more are refused.")
    ] = 1024,
    tp: Annotated[
        int, typer.Option(min=1, max=64, help="Processes among which each model is divided.")
    ] = 1,
    threads: Annotated[
        int, typer.Option(min=0, help="CPU threads of each process; 0: the cores we may use.")
    ] = 0,
) -> None:
    """Serves language models with continuous batching to the gateways that it joins."""
    torch.set_num_threads(threads or max(1, len(os.sched_getaffinity(0)) // tp))
    try:
        options = Options(
            dtype=(precision or (Precision.FP32 if device == "cpu" else Precision.BF16)).value,
            device=_device(device),
            int8=int8,
            memory=size(memory_budget) if memory_budget else None,
            block=block_size,
            budget=step_tokens,
            step_time=seconds(step_time),
            most=max_running,
            speculate=speculate,
            adapter_memory=size(adapter_memory),
            ranks=tp,
        )
    except ValueError as error:
        raise SystemExit(f"penstock backend llm: {error}") from None

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        worker = LlmWorker(model_repository, options, loop, most=max_in_flight)
        await host(where.named("llm"), lambda identity: Generating(worker, identity, device))

    try:
        uvloop.run(serve())
    except ValueError as error:
        raise SystemExit(f"penstock backend llm: {error}") from None


def _device(name: str) -> str:
    """As it is written; ends the program where there is none of that name."""
    kind, _, number = name.partition(":")
    if kind == "cuda" and number.isdecimal() and int(number) < torch.cuda.device_count():
        return name
    if name != "cpu":
        there = ", ".join(["cpu", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))])
        raise SystemExit(f"penstock backend llm: --device {name}: there are {there}")
    return name


class Generating:
    """The engines, and the way to them."""

    def __init__(self, worker: LlmWorker, identity: Identity, device: str) -> None:
        self.worker = worker
        self._changed: Callable[[], None] = lambda: None  # until the tasks are there
        self.presence = Presence(identity, worker, device=device)

    @property
    def in_flight(self) -> int:
        return self.worker.in_flight

    def unary(self, access_key: str | None) -> LlmUnary:
        return LlmUnary(self.worker.models, lambda: self._changed())

    def tasks(self, changed: Callable[[], None]) -> list[Coroutine[Any, Any, None]]:
        self._changed = changed
        return [self._load(changed), self._load_adapters(changed), self._watch()]

    async def close(self) -> None:
        self.worker.close()

    async def _watch(self) -> None:
        """Ends the process when a part of a model is gone: whoever started it, starts it anew."""
        while not self.worker.models.lost():  # noqa: ASYNC110 (it is asked of the system)
            await asyncio.sleep(WATCH_EVERY)
        log.error("ends at once, as a part of a model is gone: %s", self.worker.models.lost())
        # Not in order: gateways repeat calls elsewhere that are lost with their backend, and learn
        # which of them end backends over and over.
        logging.shutdown()  # writes what waits
        os._exit(1)

    async def _load(self, changed: Callable[[], None]) -> None:
        """Models one after the other, each served as soon as it is there."""
        models, seen = self.worker.models, 0
        while True:
            for name in await asyncio.to_thread(models.look):
                await asyncio.to_thread(models.take, name)
                changed()
            for leaving in models.drained(self.worker.asks):
                await asyncio.to_thread(models.end, leaving)
            if models.revision != seen:
                seen = models.revision
                changed()
                await asyncio.to_thread(settle)
            loading = any(entry.state == pb.LOADING for entry in models.entries())
            await asyncio.sleep(SETTLE if loading else LOOK_EVERY)

    async def _load_adapters(self, changed: Callable[[], None]) -> None:
        models = self.worker.models
        while True:
            before = models.revision
            await asyncio.to_thread(models.look_for_adapters)
            if models.revision != before:
                changed()
            await asyncio.sleep(LOOK_EVERY)
