"""A call on its way to an engine, its prompts not yet read."""

from dataclasses import dataclass

from backends.exchange import Answer
from backends.llm.engine import Engine
from backends.llm.engine_thread import EngineThread
from backends.llm.entry import Entry
from backends.llm.loading import Loaded
from backends.llm.prompts import is_long, prompts_of
from backends.llm.wishes import Wishes
from protos.errors import Kind, PenstockError
from protos.exchange_calls import Call
from protos.values import OpenAi


@dataclass(frozen=True, slots=True)
class Taking:
    call: Call
    answer: Answer
    entry: Entry
    loaded: Loaded
    engine: Engine
    thread: EngineThread
    payload: OpenAi
    wishes: Wishes
    deadline: float  # by the worker's clock

    @property
    def lacks_adapter(self) -> bool:
        """Whether its adapter has to be read first."""
        adapter = self.entry.adapter
        return bool(adapter) and adapter not in self.loaded.adapters.here

    @property
    def is_long(self) -> bool:
        return is_long(self.payload)

    def read(self, now: float) -> list[list[int]]:
        """The tokens of each prompt, once its adapter is there.

        Raises INVALID for what can't be read, DEADLINE where nobody waits for it any more, and
        UNAVAILABLE where there is no such adapter now.
        """
        if now >= self.deadline:
            raise PenstockError(Kind.DEADLINE, "the deadline passed before the prompt was read")
        if self.lacks_adapter:
            try:
                self.loaded.adapters.prepare(self.entry.adapter)
            except ValueError:
                what = "the adapter can't be read any more"
                raise PenstockError(Kind.UNAVAILABLE, what, retry_after=1.0) from None
        return prompts_of(self.loaded.tokeniser, self.payload, self.engine.longest)
