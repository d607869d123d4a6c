"""`python -m benchmarks.llm_first_token`: how long a short prompt waits beside a long one.

One engine in process, fp32, one thread, random weights. A prompt of 10 tokens comes when nobody is
there, and again and again while one of 8,000 is computed, at moments that don't depend on the
engine's steps. Told are times to its first token, and how long the long prompt takes, in
interleaved rounds: with steps bounded by time, and by tokens alone. All times are the thread's own,
which other work on the machine changes little.
"""

import random
import statistics
import time
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from backends.llm.blocks import BlockPool
from backends.llm.engine import Ask, Engine
from backends.llm.loading import Loaded, load
from backends.llm.sampling import Sampling
from benchmarks import llm

SHORT, LONG = 10, 8000
EVERY = 0.4  # seconds, about
ROUNDS = 2
# Some 10 million parameters.
SMALLER = {
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16384,
}
BOUNDS = {"20 ms": 0.02, "none": 1e9}


def main() -> None:
    torch.set_num_threads(1)
    llm.SIZES |= SMALLER
    with TemporaryDirectory() as name:
        llm.write(Path(name))
        loaded = load(Path(name), dtype="fp32", block=16, memory=1 << 29)
        found: dict[str, list[Round]] = {name: [] for name in BOUNDS}
        for at in range(ROUNDS):
            for name, bound in BOUNDS.items():
                found[name].append(Round(loaded, bound, random.Random(at)))
    print("steps   first token: idle  beside 8k: median, p95, worst   ratio  8k alone  8k beside")
    for name, rounds in found.items():
        idle = statistics.median(each for one in rounds for each in one.idle)
        beside = sorted(each for one in rounds for each in one.beside)
        alone = statistics.median(one.alone for one in rounds)
        long = statistics.median(one.long for one in rounds)
        middle = statistics.median(beside)
        print(
            f"{name:6} {idle * 1e3:13.0f} ms {middle * 1e3:9.0f}"
            f" {beside[int(0.95 * len(beside))] * 1e3:5.0f} {beside[-1] * 1e3:5.0f} ms"
            f" ({len(beside)} prompts) {middle / idle:5.1f} {alone:7.1f} s {long:7.1f} s"
        )


class Round:
    """Times in seconds: of first tokens when `idle` and `beside` the long prompt, and of that."""

    def __init__(self, loaded: Loaded, bound: float, rng: random.Random) -> None:
        self._rng = rng
        self._due = inf
        self._engine = Engine(
            loaded.runner,
            loaded.vocabulary,
            BlockPool(loaded.pool.count, loaded.pool.size),
            longest=loaded.longest,
            step_time=bound,
            clock=time.thread_time,
        )
        for tokens in (1, 16, 64, 64):
            self._alone(tokens)
        self.idle = [self._alone(SHORT) for _ in range(10)]
        self.alone = self._alone(LONG)
        self.beside: list[float] = []
        self.long = self._both()

    def _alone(self, tokens: int) -> float:
        begun = time.thread_time()
        self._ask(tokens)
        while self._engine.busy:
            self._engine.step(0.0)
        return time.thread_time() - begun

    def _both(self) -> float:
        """What the long prompt takes; short ones come while it is there."""
        begun = time.thread_time()
        self._next()
        asked: dict[object, float] = {}
        long = self._ask(LONG)
        while True:
            if self._called():
                asked[self._ask(SHORT)] = self._due
                self._next()
            for id_, _ in self._engine.step(0.0, self._called):
                if id_ is long:
                    return time.thread_time() - begun
                self.beside.append(time.thread_time() - asked.pop(id_))

    def _called(self) -> bool:
        return time.thread_time() >= self._due

    def _next(self) -> None:
        self._due = time.thread_time() + self._rng.uniform(0.5, 1.5) * EVERY

    def _ask(self, tokens: int) -> object:
        id_ = object()
        prompt = [self._rng.randrange(2, 4000) for _ in range(tokens)]
        self._engine.add(id_, Ask(prompt, 1, Sampling(temperature=0.0), ignore_end=True))
        return id_


if __name__ == "__main__":
    main()
