"""A runtime whose model is a function of arrays, given by the test."""

from collections.abc import Callable, Iterator

from backends.runtime import Arrays
from protos.values import Parameters, Signature


class NumpyRuntime:
    """`batches` has the rows of what was executed."""

    def __init__(self, signature: Signature, model: Callable[[Arrays], Arrays]) -> None:
        self._signature = signature
        self._model = model
        self.batches: list[int] = []
        self.unloaded = False

    def load(self) -> Signature:
        return self._signature

    def stage(self, inputs: Arrays) -> Arrays:
        return inputs

    def execute(self, staged: Arrays) -> Arrays:
        self.batches.append(len(next(iter(staged.values()))))
        return self._model(staged)

    def stream(self, inputs: Arrays, parameters: Parameters) -> Iterator[Arrays]:
        while True:
            yield self._model(inputs)

    def memory_bytes(self) -> int:
        return 0

    def unload(self) -> None:
        self.unloaded = True
