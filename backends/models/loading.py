"""From a candidate to a model that is ready to serve: read, settled, warmed up and measured."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from backends.batching.cost import CostTable
from backends.batching.job import BatchPolicy, LoadReport, ModelKey
from backends.models import warm_up
from backends.models.config import ModelConfig
from backends.models.repository import Candidate
from backends.models.samples import Sample, samples
from backends.models.signature import settle
from backends.models.tokenised import Tokenised
from backends.runtime import Runtime
from backends.runtimes import RuntimeModule
from protos.values import Signature

T = TypeVar("T")

log = logging.getLogger(__name__)


class Device(Protocol):
    """What loading and unloading need of the device loop."""

    @property
    def cost(self) -> CostTable: ...

    def add_model(
        self, key: ModelKey, runtime: Runtime, signature: Signature, policy: BatchPolicy
    ) -> None: ...

    def remove_model(self, key: ModelKey) -> None: ...

    def release(self, runtime: Runtime) -> None: ...

    def call(self, fn: Callable[[], T]) -> "Future[T]": ...

    def report(self) -> LoadReport: ...


@dataclass(frozen=True, slots=True)
class Model:
    """A version on the device; `samples` are what it was warmed up with."""

    key: ModelKey
    revision: str
    runtime: Runtime
    signature: Signature
    policy: BatchPolicy
    config: ModelConfig
    memory: int
    samples: tuple[Sample, ...]
    note: str = ""


class Loader:
    """Loads what one runtime's module reads, for one device of `threads` cores."""

    def __init__(
        self, module: RuntimeModule, loop: Device, device: str, threads: int, allow_code: bool
    ) -> None:
        self._module = module
        self._loop = loop
        self._device = device
        self._threads = threads
        self._allow_code = allow_code

    def read(self, candidate: Candidate, revision: str) -> Model:
        """Blocks, for seconds. Raises whatever the artifact makes its framework raise."""
        if self._module.RUNS_CODE and not self._allow_code:
            raise ValueError("it is code; start the backend with --allow-code to run it")
        config = candidate.config
        runtime = self._module.create(candidate.artifact, config, self._device, self._threads)
        if config.tokenizer is not None:
            runtime = Tokenised(runtime, candidate.artifact.parent, config.tokenizer)
        try:
            artifact = runtime.load()
            # On a GPU every shape is captured or tuned for once, so there should be few.
            signature, policy = settle(
                artifact, config, fixed_sizes=self._device.startswith("cuda")
            )
            found = self._samples(signature, policy, candidate)
            memory = config.memory or runtime.memory_bytes()
        except BaseException:
            runtime.unload()
            raise
        key = (candidate.name, candidate.version)
        return Model(key, revision, runtime, signature, policy, config, memory, found)

    async def warm_up(self, model: Model, candidate: Candidate) -> Model:
        """Runs all samples, one at a time between the batches of the models that serve.

        Without samples of the owner's, a model that should batch by default must first show that
        its rows don't depend on each other. Raises what the model raises, unless the sample's
        lengths were guesses, which it may rightly refuse.
        """
        try:
            model = await self._without_batching_if_rows_depend(model, candidate)
            for sample in model.samples:
                step = partial(
                    warm_up.execute, model.runtime, model.signature, model.policy, sample
                )
                measured = await self.on_device(step)
                self._loop.cost.observe(model.key, measured.bucket, measured.rows, measured.seconds)
        except Exception as error:
            if not any(sample.guessed for sample in model.samples):
                raise
            log.warning("%s: warm-up with guessed lengths failed: %s", model.key, error)
            note = "it was not warmed up: say in model.yaml which lengths it takes (warmUp.lengths)"
            return replace(model, samples=(), note=note)
        return model

    async def on_device(self, fn: Callable[[], T]) -> T:
        """Runs `fn` on the device's thread between two batches."""
        return await asyncio.wrap_future(self._loop.call(fn))

    async def _without_batching_if_rows_depend(self, model: Model, candidate: Candidate) -> Model:
        config = model.config
        asked = config.batching.max is not None or config.batching.sizes
        several = next((sample for sample in model.samples if sample.rows > 1), None)
        if asked or several is None:
            return model
        check = partial(warm_up.rows_are_independent, model.runtime, model.signature, several)
        if await self.on_device(check):
            return model
        note = "its rows depend on each other, so it isn't batched; batching.max overrules this"
        log.warning("%s: %s", model.key, note)
        alone = config.model_copy(
            update={"batching": config.batching.model_copy(update={"max": 0})}
        )
        signature, policy = settle(replace(model.signature, max_batch_size=0), alone)
        found = self._samples(signature, policy, candidate)
        return replace(model, signature=signature, policy=policy, samples=found, note=note)

    def _samples(
        self, signature: Signature, policy: BatchPolicy, candidate: Candidate
    ) -> tuple[Sample, ...]:
        config = candidate.config.warm_up
        if config.data == "off" and not config.samples:
            return ()
        return tuple(samples(signature, policy, config, candidate.folder))
