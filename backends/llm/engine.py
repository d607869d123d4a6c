"""The engine: requests in, and with every step some more of their answers out.

Plan, compute, choose, settle; nothing here waits or knows of a network. What one request breaks
ends that request alone.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Protocol

import torch

from backends.language.kept import Recent
from backends.llm.blocks import BlockPool, salt
from backends.llm.choice import Choice, Said, Vocabulary
from backends.llm.choosing import choose
from backends.llm.ngram import guess
from backends.llm.plan import Work
from backends.llm.sampling import Likely, Sampling
from backends.llm.scheduler import Scheduler
from backends.llm.sequence import Sequence
from protos.errors import Kind, PenstockError
from protos.incident import frames_of

log = logging.getLogger(__name__)

WARM = (1, 16, 64, 1, 16, 64)  # tokens


class Runner(Protocol):
    """The model, and the cache that the blocks are of."""

    def run(self, plan: list[Work], interrupted: Callable[[], bool] | None = None) -> torch.Tensor:
        """Logits [rows, vocabulary], fp32: one row for each token that may be the next.

        Those are, in the plan's order, of works that complete their sequence: one and one more for
        each token of the draft. One that can stop on the way asks whether it is `interrupted`, and
        raises Interrupted if so. Raises RunnerLost when it can compute for nobody any more.
        """
        ...


class Interrupted(Exception):
    """The step was given up on the way, since somebody waits for the next one."""


class RunnerLost(Exception):
    """The runner can compute nothing any more, whoever asks."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for: at most `most` new tokens in each of `choices` answers.

    `beginnings` are those of its text by which gateways look for it, the shortest first: how many
    tokens each has, and its name.
    """

    tokens: list[int]
    most: int
    sampling: Sampling
    choices: int = 1
    stops: tuple[str, ...] = ()
    ignore_end: bool = False
    tenant: str = ""
    adapter: str = ""
    priority: int = 1
    deadline: float = inf
    beginnings: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True, eq=False)
class _Request:
    """`open` choices have not finished; those that `follow` wait for the first one's prompt."""

    id: Hashable
    choices: list[Choice]
    open: int
    follow: list[Choice] = field(default_factory=list)


@dataclass(slots=True)
class Counts:
    """Totals since the start, for whoever watches."""

    prompt_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    by_adapter: Counter[str] = field(default_factory=Counter)  # generated


Step = list[tuple[Hashable, Said | PenstockError]]


class Engine:
    """`speculate` tokens are guessed ahead, at most; 0 guesses none.

    What steps cost is measured by the `clock`, in seconds.
    """

    def __init__(
        self,
        runner: Runner,
        vocabulary: Vocabulary,
        pool: BlockPool,
        *,
        longest: int,
        budget: int = 512,
        most: int = 64,
        step_time: float = 0.02,
        speculate: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._runner = runner
        self._vocabulary = vocabulary
        self.scheduler = Scheduler(pool, budget=budget, most=most, step_time=step_time)
        # The cache bounds an answer as the model does.
        self.longest = min(longest, pool.count * pool.size)
        self._speculate = speculate
        self._requests: dict[Hashable, _Request] = {}
        self._choices: dict[Sequence, tuple[_Request, Choice]] = {}
        self._order = 0
        self.counts = Counts()
        self.kept: Recent[bytes] = Recent()  # the key of the last block of a prompt's beginning

    def warm_up(self) -> None:
        """Runs steps of some sizes; before the first request.

        So what a step costs is known when the first long prompt comes.
        """
        pool = self.scheduler.pool
        for wanted in WARM:
            count = min(wanted, self.longest - 1)
            blocks = list(range(1, pool.blocks_for(count) + 1))
            sequence = Sequence(0, [0] * count, count + 1, Sampling(temperature=0.0), blocks=blocks)
            plan = [Work(sequence, 0, count)]
            begun = self._clock()
            choose(plan, self._runner.run(plan), lambda _: random.Random())  # noqa: S311
            self.scheduler.took(plan, self._clock() - begun)

    @property
    def busy(self) -> bool:
        return bool(self._requests)

    def check(self, tokens: int, most: int | None) -> int:
        """How many new tokens a prompt of so many may get, where `most` were asked for.

        Raises INVALID where they don't fit.
        """
        room = self.longest - tokens
        wanted = room if most is None else most
        if tokens < 1 or wanted < 1 or wanted > room:
            what = f"has {tokens} tokens" + (f", and {most} more are asked for" if most else "")
            raise PenstockError(
                Kind.INVALID,
                f"the prompt {what}: at most {self.longest} have room here in all",
                code="context_length_exceeded",
            )
        return wanted

    def add(self, id_: Hashable, ask: Ask) -> None:
        """Takes a request in; raises INVALID for one that could never be answered."""
        self.check(len(ask.tokens), ask.most)
        if not all(0 <= token < self._vocabulary.size for token in ask.tokens):
            raise PenstockError(Kind.INVALID, "the prompt has tokens that the model doesn't have")
        ends = frozenset() if ask.ignore_end else self._vocabulary.ends
        choices = [
            Choice(at, self._sequence(ask), self._vocabulary, ask.stops, ends)
            for at in range(ask.choices)
        ]
        request = _Request(id_, choices, len(choices), choices[1:])
        self._requests[id_] = request
        self._begin(request, choices[0])
        if ask.beginnings:
            self._keep(choices[0].sequence, ask.beginnings)

    def cancel(self, id_: Hashable) -> None:
        """Nobody wants it any more: its blocks are free at once. Nothing if it isn't here."""
        request = self._requests.pop(id_, None)
        for choice in request.choices if request else ():
            if self._choices.pop(choice.sequence, None) is not None:
                self.scheduler.remove(choice.sequence)

    def abandon(self, error: PenstockError) -> Step:
        """Ends everybody with the error."""
        ids = list(self._requests)
        for id_ in ids:
            self.cancel(id_)
        return [(id_, error) for id_ in ids]

    def step(self, now: float, interrupted: Callable[[], bool] | None = None) -> Step:
        """Computes once, for everybody that has room.

        Where only long prompts are computed, and somebody comes meanwhile, as `interrupted` says,
        that is given up for now.
        """
        if self._speculate:
            self._guess()
        plan = self.scheduler.schedule(now)
        step: Step = []
        for sequence in plan.expired:
            if sequence in self._choices:
                late = PenstockError(Kind.DEADLINE, "the deadline passed before the answer's end")
                self._fail(sequence, late, step)
        if plan.work:
            self._work(plan.work, step, interrupted if plan.patient else None)
        return step

    def _work(
        self, plan: list[Work], step: Step, interrupted: Callable[[], bool] | None = None
    ) -> None:
        try:
            begun = self._clock()
            logits = self._runner.run(plan, interrupted)
            found = choose(plan, logits, lambda sequence: self._choices[sequence][1].rng)
            self.scheduler.took(plan, self._clock() - begun)
        except Interrupted:
            self.scheduler.interrupted()
            return
        except RunnerLost:
            raise
        except Exception as error:
            if len(plan) == 1:
                self._break(plan[0].sequence, step, error)
                return
            # One of them broke it, and takes nobody along.
            for work in plan:
                if work.sequence in self._choices:
                    self._work([work], step)
            return
        for work, tokens in zip(plan, found, strict=True):
            if work.sequence not in self._choices:
                continue
            if tokens is None:
                self._break(work.sequence, step)
                continue
            try:
                self._settle(work, tokens, step)
            except Exception as error:
                self._break(work.sequence, step, error)

    def _settle(self, work: Work, found: list[Likely], step: Step) -> None:
        sequence = work.sequence
        drafted = len(sequence.draft)
        self.scheduler.settle(work, max(0, len(found) - 1), found[-1].token if found else None)
        if not found:
            return
        self.counts.drafted_tokens += drafted
        self.counts.accepted_tokens += len(found) - 1
        request, choice = self._choices[sequence]
        said = choice.take(found, len(sequence.tokens))
        self.counts.generated_tokens += said.tokens
        self.counts.by_adapter[sequence.adapter] += said.tokens
        if request.follow:
            for each in request.follow:
                self._begin(request, each)
            request.follow = []
        if said.finish is not None:
            del self._choices[sequence]
            self.scheduler.remove(sequence)
            self.counts.reused_tokens += sequence.reused
            request.open -= 1
            if not request.open:
                del self._requests[request.id]
                said = replace(said, final=True)
        if said.text or said.finish or said.likely or said.tokens:
            step.append((request.id, said))

    def _guess(self) -> None:
        for sequence in self.scheduler.running:
            if not sequence.prefilling:
                room = sequence.limit - len(sequence.tokens) - 1
                sequence.draft = guess(sequence.tokens, min(self._speculate, room))

    def _sequence(self, ask: Ask) -> Sequence:
        self._order += 1
        return Sequence(
            self._order,
            list(ask.tokens),
            len(ask.tokens) + ask.most,
            ask.sampling,
            salt(ask.tenant, ask.adapter),
            ask.tenant,
            ask.adapter,
            ask.priority,
            ask.deadline,
        )

    def _begin(self, request: _Request, choice: Choice) -> None:
        self._choices[choice.sequence] = (request, choice)
        self.scheduler.add(choice.sequence)
        self.counts.prompt_tokens += choice.sequence.prompt

    def _keep(self, sequence: Sequence, beginnings: tuple[tuple[int, int], ...]) -> None:
        size = self.scheduler.pool.size
        keys = sequence.keys(len(sequence.tokens) // size, size)
        whole = [(name, tokens // size) for tokens, name in beginnings if tokens >= size]
        self.kept.touch(sequence.tenant, [(name, keys[blocks - 1]) for name, blocks in whole])

    def _break(self, sequence: Sequence, step: Step, error: Exception | None = None) -> None:
        """The model fails on it; the next one with such a prompt shall not find what it left."""
        if error is not None:
            log.error("a request broke its step: %s", frames_of(error))
        self.scheduler.pool.forget(sequence.blocks)
        broken = PenstockError(Kind.MODEL_FAILED, "the model failed on this request")
        self._fail(sequence, broken, step)

    def _fail(self, sequence: Sequence, error: PenstockError, step: Step) -> None:
        request, _ = self._choices[sequence]
        self.cancel(request.id)
        step.append((request.id, error))
