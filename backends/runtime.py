"""What a framework must offer to be served: one file a framework in `backends/runtimes/`."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from protos.datatypes import Array
from protos.values import Parameters, Signature

# Arrays by tensor name, dtypes as in protos.datatypes (BF16 as uint16 bits, BYTES as objects).
Arrays = Mapping[str, Array]


class Runtime(Protocol):
    """One loaded model version on one device.

    `execute`, `stream` and `unload` are called on the device's thread only; `load` runs on another,
    so that a model that takes long to read doesn't hold up those that serve, and `stage` may run on
    another while a batch executes. Errors about the input raise `PenstockError` of kind INVALID;
    anything else that is raised fails the batch, which is then bisected.
    """

    def load(self) -> Signature:
        """Reads the artifact onto the device and says what it takes and gives."""
        ...

    def stage(self, inputs: Arrays) -> Any:
        """Copies a batch's inputs to where `execute` wants them (pinned memory, the device)."""
        ...

    def execute(self, staged: Any) -> Arrays:
        """Runs the batch and returns every output on the host; blocks until they are there."""
        ...

    def stream(self, inputs: Arrays, parameters: Parameters) -> Iterator[Arrays]:
        """Yields the parts of one request's reply; only for decoupled signatures.

        `parameters` are the request's own, which batched requests have no use for.
        """
        ...

    def memory_bytes(self) -> int:
        """Device memory that the model holds: weights, and workspace where it is known."""
        ...

    def unload(self) -> None:
        """Gives everything back; the object is not used again."""
        ...
