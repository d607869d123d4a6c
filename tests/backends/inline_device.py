"""A device loop without batching: calls run one after the other on a thread of their own."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from backends.batching.cost import CostTable
from backends.batching.job import BatchPolicy, LoadReport, ModelKey
from backends.runtime import Arrays, Runtime
from protos.values import Signature

T = TypeVar("T")


class InlineDevice:
    """Has the models that were added; `events` is what was done, in order."""

    def __init__(self) -> None:
        self.cost = CostTable()
        self.models: dict[ModelKey, Runtime] = {}
        self.events: list[tuple[str, ModelKey]] = []
        self.progress = 0
        self._thread = ThreadPoolExecutor(1)

    def add_model(
        self, key: ModelKey, runtime: Runtime, signature: Signature, policy: BatchPolicy
    ) -> None:
        self.events.append(("add", key))
        self.models[key] = runtime

    def remove_model(self, key: ModelKey) -> None:
        self.events.append(("remove", key))
        del self.models[key]

    def release(self, runtime: Runtime) -> None:
        assert runtime not in self.models.values()

    def call(self, fn: Callable[[], T]) -> "Future[T]":
        return self._thread.submit(fn)

    def report(self) -> LoadReport:
        return LoadReport(0.0, 0, 0.0, 0.0, self.progress, None)

    def execute(self, key: ModelKey, inputs: Arrays) -> Arrays:
        """The model's outputs, as a batch of exactly these inputs would get them."""
        runtime = self.models[key]
        return self.call(lambda: runtime.execute(runtime.stage(inputs))).result()

    def stop(self) -> None:
        self._thread.shutdown()
