"""Takes the exchange's calls to the engines, and what those say back to the calls."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from math import inf
from pathlib import Path
from typing import cast

from backends.exchange import Answer, Taken
from backends.language.kept import Pace
from backends.language.parts import Parts
from backends.language.texts import SIGNATURE, prompt_of
from backends.language.times import Times, time_queued
from backends.llm.answering import Answering
from backends.llm.engine import Ask, Engine, Step
from backends.llm.engine_thread import EngineThread
from backends.llm.entry import Options
from backends.llm.forms import Form
from backends.llm.models import Models
from backends.llm.preparing import Preparing
from backends.llm.readers import Readers
from backends.llm.taking import Taking
from backends.llm.wishes import wishes_of
from backends.validate import check_inputs
from protos import exchange_parts
from protos.errors import Kind, PenstockError, invalid
from protos.exchange_calls import Call
from protos.incident import incident
from protos.prefixes import Prefixes, prefixes_of
from protos.values import Embedding

# What a model's default is among the priorities that clients may ask for.
DEFAULT_PRIORITY = 2
MOST_ANSWERS = 256  # of all prompts of a request together
READERS = 2  # threads, for long prompts


class LlmWorker:
    """`most` calls may be under way, waiting ones included, and as many answers of each tenant.

    More are refused, but not the only call of a tenant.
    """

    def __init__(
        self,
        repository: Path,
        options: Options,
        loop: asyncio.AbstractEventLoop,
        *,
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ValueError as `Models` does."""

        def deliver(step: Step) -> None:
            loop.call_soon_threadsafe(self._say, step)

        self.models = Models(repository, options, deliver)
        self.times = Times()  # until the first token
        self.wholes = Times()  # until the end, however it came
        self.pace = Pace()
        self._most = most
        self._clock = clock
        self._ids = count()
        self._loop = loop
        self._calls: dict[int, tuple[Answering, EngineThread]] = {}
        self._answers: Counter[str] = Counter()  # under way, of each tenant
        self._preparing: dict[int, EngineThread] = {}  # that each call is on its way to
        self._texts: Readers[list[list[int]]] = Readers(READERS, "texts")
        self._adapters: Readers[list[list[int]]] = Readers(1, "adapters")

    @property
    def in_flight(self) -> int:
        return len(self._calls) + len(self._preparing)

    def asks(self, thread: EngineThread) -> bool:
        """Whether a call under way has still to do with this engine."""
        preparing = thread in self._preparing.values()
        return preparing or any(each is thread for _, each in self._calls.values())

    def take(self, calls: Sequence[tuple[Call, Answer]]) -> list[Taken | PenstockError]:
        """Hands the calls to their engines; see `backends.exchange.Worker`."""
        return [self._take(call, answer) for call, answer in calls]

    def close(self) -> None:
        self._texts.close()
        self._adapters.close()
        self.models.close()

    def _take(self, call: Call, answer: Answer) -> Taken | PenstockError:
        try:
            return self._begin(call, answer)
        except PenstockError as refusal:
            return refusal
        except Exception as raised:
            return incident(raised, "a request could not be read")

    def _begin(self, call: Call, answer: Answer) -> Taken:
        if self.in_flight >= self._most:
            raise PenstockError(Kind.OVERLOADED, "the model has enough to do", retry_after=1.0)
        entry = self.models.get(call.model, call.version)
        if entry.loaded is None or entry.engine is None or entry.thread is None:
            raise PenstockError(Kind.UNAVAILABLE, "the model is not ready", retry_after=1.0)
        if call.openai is None:
            check_inputs(SIGNATURE, call.inputs, call.datatypes)
        payload = call.openai or prompt_of(call)
        if isinstance(payload, Embedding):
            raise PenstockError(Kind.UNIMPLEMENTED, "this model gives no embeddings")
        wishes = wishes_of(payload)
        vocabulary = entry.loaded.vocabulary
        if any(token >= vocabulary.size for token in wishes.sampling.bias):
            raise invalid("logit_bias: names tokens that the model doesn't have", "logit_bias")
        taking = Taking(
            call,
            answer,
            entry,
            entry.loaded,
            entry.engine,
            entry.thread,
            payload,
            wishes,
            self._clock() + call.remaining_us / 1e6 if call.remaining_us else inf,
        )
        if taking.is_long or taking.lacks_adapter:
            return self._later(taking)
        return self._go(taking, taking.read(self._clock()))

    def _later(self, taking: Taking) -> Taken:
        """What takes long is read in another thread, and none of the others waits for it."""
        key, call = next(self._ids), taking.call
        readers = self._adapters if taking.lacks_adapter else self._texts
        found = readers.submit(call.tenant, lambda: taking.read(self._clock()))

        def go(prompts: list[list[int]]) -> Taken:
            del self._preparing[key]
            return self._go(taking, prompts)

        def fail(error: PenstockError) -> None:
            self._preparing.pop(key, None)
            taking.answer(exchange_parts.encode_failure(call.id, error, executed=False), True)

        def leave() -> None:
            del self._preparing[key]
            found.cancel()

        preparing = Preparing(go, fail, leave=leave)
        self._preparing[key] = taking.thread
        found.add_done_callback(
            lambda found: self._loop.call_soon_threadsafe(preparing.done, found)
        )
        return preparing

    def _go(self, taking: Taking, prompts: list[list[int]]) -> Answering:
        """To the engine with it; raises INVALID for prompts that don't fit."""
        call, answer, entry, payload, wishes = (
            taking.call,
            taking.answer,
            taking.entry,
            taking.payload,
            taking.wishes,
        )
        engine, thread, vocabulary = taking.engine, taking.thread, taking.loaded.vocabulary
        answers = len(prompts) * wishes.choices
        if answers > MOST_ANSWERS:
            raise invalid(f"n: at most {MOST_ANSWERS} answers are given to one request", "n")
        if self._answers[call.tenant] and self._answers[call.tenant] + answers > self._most:
            what = f"the tenant has {self._answers[call.tenant]} answers under way"
            raise PenstockError(Kind.OVERLOADED, what, retry_after=1.0)
        mosts = [engine.check(len(prompt), wishes.most) for prompt in prompts]
        if not all(0 <= token < vocabulary.size for prompt in prompts for token in prompt):
            raise invalid("prompt: has tokens that the model doesn't have", "prompt")
        key = next(self._ids)
        prefixes = prefixes_of(payload, call.tenant, call.model)
        cached = prefixes.reach(partial(_cached, engine))
        taken = Answering(
            call,
            Form(payload, call.model, lambda token: vocabulary.decode([token])),
            [len(prompt) for prompt in prompts],
            wishes.choices,
            Parts(
                call,
                answer,
                clock=self._clock,
                sharing=lambda: max(1, thread.load.running),
                queued=partial(self._queued, thread),
                begun=partial(self._begun, thread, prefixes.length, cached),
            ),
            leave=partial(
                self._leave, key, call.tenant, answers, len(prompts), thread, self._clock()
            ),
        )
        self._calls[key] = (taken, thread)
        self._answers[call.tenant] += answers
        for at, (prompt, most) in enumerate(zip(prompts, mosts, strict=True)):
            ask = Ask(
                prompt,
                most,
                wishes.sampling,
                wishes.choices,
                wishes.stops,
                wishes.ignore_end,
                call.tenant,
                entry.adapter,
                priority=call.priority or DEFAULT_PRIORITY,
                deadline=taking.deadline,
                beginnings=() if at else _in_tokens(prefixes, len(prompt)),
            )
            thread.add((key, at), ask)
        return taken

    def _queued(self, thread: EngineThread, elapsed: float) -> float:
        load = thread.load
        return time_queued(load.waiting, load.running, elapsed, self.wholes.quantile(0.5))

    def _begun(self, thread: EngineThread, length: int, cached: int, elapsed: float) -> None:
        self.times.add(elapsed)
        self.pace.add(length, cached, elapsed - self._queued(thread, elapsed))

    def _leave(
        self,
        key: int,
        tenant: str,
        answers: int,
        prompts: int,
        thread: EngineThread,
        began: float,
    ) -> None:
        del self._calls[key]
        self._answers[tenant] -= answers
        if not self._answers[tenant]:
            del self._answers[tenant]
        self.wholes.add(self._clock() - began)
        for at in range(prompts):
            thread.cancel((key, at))

    def _say(self, step: Step) -> None:
        for id_, said in step:
            key, at = cast(tuple[int, int], id_)  # as `_begin` made it
            if key not in self._calls:
                continue
            taken, _ = self._calls[key]
            if isinstance(said, PenstockError):
                taken.fail(said)
            else:
                taken.say(at, said)


def _cached(engine: Engine, name: int) -> bool:
    """Whether the beginning of that name is in the engine's cache now."""
    key = engine.kept.get(name)
    return key is not None and engine.scheduler.pool.knows(key)


def _in_tokens(prefixes: Prefixes, tokens: int) -> tuple[tuple[int, int], ...]:
    """How many tokens each beginning has, by its share of the text, rounded down; and its name."""
    return tuple(
        (tokens * end // prefixes.length, name)
        for end, name in zip(prefixes.ends, prefixes.names, strict=True)
    )
