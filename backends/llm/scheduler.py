"""What the next step computes, by one rule (vLLM V1's): each sequence gets tokens until it is
caught up, within the step's budget; those that run first, then those that wait.

A prompt in pieces, one whose beginning is in the cache, and one with guessed tokens to check are
the same thing then: some tokens lack. Where the cache is full, the last comer of the lowest
priority gives its blocks back and is computed again later; the first of all never is, so that
somebody always comes to an end.
"""

from dataclasses import dataclass

from backends.llm.blocks import BlockPool
from backends.llm.sequence import Sequence
from backends.llm.waiting import Waiting

# Of a step, that a prompt may take which needs several, where another one lacks tokens too: a short
# prompt doesn't wait for a long one's end. Those that fit into a step follow one after the other.
SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens `start` to `start + count` of a sequence and its draft, to be computed now."""

    sequence: Sequence
    start: int
    count: int

    @property
    def completes(self) -> bool:
        """Whether the next token is known afterwards."""
        return self.count == self.sequence.lacking


@dataclass(frozen=True, slots=True)
class Plan:
    """A step's work, and sequences that were dropped since their deadline is over."""

    work: list[Work]
    expired: list[Sequence]


class Scheduler:
    """`budget` tokens a step, `most` sequences at once; prompts must fit into the pool."""

    def __init__(self, pool: BlockPool, *, budget: int = 512, most: int = 64) -> None:
        self.pool = pool
        self.budget = budget
        self.most = most
        self.waiting = Waiting()
        self.running: list[Sequence] = []
        self.preemptions = 0

    def add(self, sequence: Sequence) -> None:
        self.waiting.add(sequence)

    def remove(self, sequence: Sequence) -> None:
        """It is finished or wanted no more; its blocks are free. Nothing if it isn't here."""
        if sequence in self.running:
            self.running.remove(sequence)
            self._let_go(sequence)
        else:
            self.waiting.remove(sequence)

    def schedule(self, now: float) -> Plan:
        """What to compute next; each sequence in it holds the blocks that it needs."""
        expired = [each for each in (*self.running, *self.waiting) if each.deadline <= now]
        for sequence in expired:
            self.remove(sequence)
        work: dict[Sequence, Work] = {}
        share = self._share()
        left = self.budget
        preempted = False
        for sequence in list(self.running):
            if left == 0:
                break
            if sequence not in self.running:
                continue  # it has just given its blocks to another one
            count = _cut(sequence, min(left, share if sequence.lacking > self.budget else left))
            while not self._extend(sequence, count):
                if sequence.draft:  # no guess is worth another one's blocks
                    count = _cut(sequence, count - len(sequence.draft))
                    continue
                victim = max(self.running, key=lambda each: (each.priority, each.order))
                undone = work.pop(victim, None)
                left += undone.count if undone else 0
                self._preempt(victim)
                preempted = True
                if victim is sequence:
                    break
            else:
                work[sequence] = Work(sequence, sequence.computed, count)
                left -= count
        while self.waiting and left and len(self.running) < self.most and not preempted:
            sequence = self.waiting.next()
            if not self._admit(sequence):
                break
            count = min(sequence.lacking, left, share if sequence.lacking > self.budget else left)
            if not self._extend(sequence, count):
                raise RuntimeError("a sequence was let in that there is no room for")
            work[sequence] = Work(sequence, sequence.computed, count)
            left -= count
        for each in work.values():
            self.waiting.charge(each.sequence.tenant, each.count)
        return Plan(list(work.values()), expired)

    def settle(self, work: Work, accepted: int, token: int | None) -> None:
        """The work is done: so many drafted tokens were right, and `token` follows them."""
        sequence = work.sequence
        drafted = len(sequence.draft) if work.completes else 0
        known = sequence.computed // self.pool.size
        sequence.computed += work.count - drafted + accepted
        if token is not None:
            sequence.tokens += [*sequence.draft[:accepted], token]
        sequence.draft = []
        full = sequence.computed // self.pool.size
        if full > known:
            keys = sequence.keys(full, self.pool.size)
            for at in range(known, full):
                self.pool.publish(sequence.blocks[at], keys[at])

    def _share(self) -> int:
        """The most tokens of a long prompt in this step."""
        prompts = sum(each.prefilling for each in self.running) + len(self.waiting)
        return self.budget if prompts < 2 else max(1, int(self.budget * SHARE))

    def _admit(self, sequence: Sequence) -> bool:
        """Lets it run if all of it has room now, beginning after what the cache has of it."""
        size = self.pool.size
        known = (len(sequence.tokens) - 1) // size  # one token at least must be computed
        found = self.pool.match(sequence.keys(known, size))
        self.pool.hold(found)
        if self.pool.blocks_for(len(sequence.tokens)) - len(found) > self.pool.free:
            self.pool.release(found)
            return False
        self.waiting.remove(sequence)
        self.running.append(sequence)
        sequence.blocks = found
        sequence.computed = len(found) * size
        if not sequence.started:
            sequence.started = True
            sequence.reused = sequence.computed
        return True

    def _extend(self, sequence: Sequence, count: int) -> bool:
        """Gives it blocks for `count` more tokens, if there are enough."""
        needed = self.pool.blocks_for(sequence.computed + count) - len(sequence.blocks)
        taken = self.pool.take(max(0, needed))
        if taken is None:
            return False
        sequence.blocks += taken
        return True

    def _preempt(self, sequence: Sequence) -> None:
        self.preemptions += 1
        self.running.remove(sequence)
        self._let_go(sequence)
        self.waiting.add(sequence)

    def _let_go(self, sequence: Sequence) -> None:
        self.pool.release(sequence.blocks)
        sequence.start_over()


def _cut(sequence: Sequence, most: int) -> int:
    """How many tokens it gets of so many; guesses that have no room are forgotten."""
    beyond = sequence.lacking - most
    if beyond > 0 and sequence.draft:
        del sequence.draft[max(0, len(sequence.draft) - beyond) :]
    return min(sequence.lacking, most)
