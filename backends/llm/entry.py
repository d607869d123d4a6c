"""Models and adapters as they stand, and how they are run."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backends.llm.engine import Engine
from backends.llm.engine_thread import EngineThread
from backends.llm.folders import Stamp
from backends.llm.loading import Loaded
from protos import discovery_pb2 as pb

LEAST_ON_GPU = 16  # tokens in a block, since matrix units take no fewer


@dataclass(frozen=True, slots=True)
class Options:
    """How models are run; `memory` in bytes is each one's cache of keys and values.

    Without it the cache takes what a GPU has left.
    """

    dtype: str = "fp32"
    int8: bool = False
    memory: int | None = 1 << 30
    device: str = "cpu"
    block: int = 16
    budget: int = 512
    step_time: float = 0.02  # seconds of a step in which long prompts and others meet
    most: int = 64
    speculate: int = 0
    adapter_memory: int = 1 << 28  # of each model's adapters that nobody uses
    ranks: int = 1  # processes among which each model is divided

    def __post_init__(self) -> None:
        """Raises ValueError for what the device can't do."""
        if self.device != "cpu" and (self.block < LEAST_ON_GPU or self.block & (self.block - 1)):
            raise ValueError(
                f"--block-size {self.block}: on GPUs blocks hold a power of two of tokens, "
                f"{LEAST_ON_GPU} at least"
            )


@dataclass(frozen=True, slots=True)
class Entry:
    """A model, or an adapter of one; `loaded` and `thread` are there once it is READY.

    `adapter` names the adapter's files as they were when it was found.
    """

    name: str
    folder: Path
    state: pb.ModelState = pb.LOADING
    reason: str = "it is being read"
    revision: str = ""
    loaded: Loaded | None = None
    engine: Engine | None = None
    thread: EngineThread | None = None
    adapter: str = ""
    stamp: Stamp = ()  # an adapter's


class Table:
    """Entries by name; exchanged, never changed, since others read them in threads of their own."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.by_name = {each.name: each for each in entries}
        self.revision = 1
        self._changing = threading.Lock()

    def entries(self) -> list[Entry]:
        return sorted(self.by_name.values(), key=lambda entry: entry.name)

    def put(self, *entries: Entry, without: Iterable[str] = ()) -> None:
        """All of it at once, in the place of what has the same names."""
        gone = set(without)
        with self._changing:
            kept = {name: each for name, each in self.by_name.items() if name not in gone}
            self.by_name = {**kept, **{each.name: each for each in entries}}
            self.revision += 1
