"""What the next step computes, by one rule (vLLM V1's): each sequence gets tokens until it is
caught up, within the step's budget; those that run first, then those that wait.

A prompt in pieces, one whose beginning is in the cache, and one with guessed tokens to check are
the same thing then: some tokens lack. Where the cache or all places are full, the last comer of the
largest tenant of the lowest priority gives its blocks back and is computed again later; the first
of all never is, so that somebody always comes to an end.

Long prompts stand back, for others' sake: while there are any, each step takes so long and no
longer by what steps have cost so far, one whose first token is to come goes before them, and when
none is there, somebody who comes may interrupt.
"""

from math import inf

from backends.llm.blocks import BlockPool
from backends.llm.cost import Cost, Size, size_of
from backends.llm.fairness import Shares
from backends.llm.plan import Plan, Planned, Work
from backends.llm.sequence import Sequence
from backends.llm.waiting import Waiting

# Times as long as a step in which they meet may one be without long prompts. A prompt that takes
# more is long.
ALONE = 4
# Steps of long prompts alone, which whoever comes may interrupt between two layers, grow from that
# up to so many times, for as long as nobody comes: few large ones cost less than many, and an
# interruption costs what was computed of one.
UNDISTURBED = 16
GROWTH = 1.5


class Scheduler:
    """`budget` tokens a step, `most` sequences at once; prompts must fit into the pool.

    `step_time` in seconds bounds steps in which long prompts and others meet, as far as it can.
    """

    def __init__(
        self, pool: BlockPool, *, budget: int = 512, most: int = 64, step_time: float = 0.02
    ) -> None:
        self.pool = pool
        self.budget = budget
        self.most = most
        self._step_time = step_time
        self.cost = Cost()
        self.waiting = Waiting()
        self.running: list[Sequence] = []
        self.preemptions = 0
        self._steps = 0
        self._stood_back = False  # long prompts, in the last step
        self._undisturbed: float = ALONE  # times longer the next step of long prompts alone may be
        self._hurried = 0  # the next pieces of long prompts, that are short

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
        expired = [each for each in self.running if each.deadline <= now]
        for sequence in expired:
            self.remove(sequence)
        expired += self.waiting.late(now)
        self._steps += 1
        preemptions = self.preemptions
        # Among themselves short prompts are served the sooner the more of them share a step.
        met = any(each.long for each in self.running)
        step = Planned(self.budget, ALONE * self._bound() if met else inf)
        for sequence in list(self.running):
            if sequence in self.running and not self._is_long(sequence):
                self._run(sequence, step)
        if self._stood_back:
            self._run_long(step)
        if self.preemptions == preemptions:
            self._admit_waiting(step)
        if not step.prompts:
            self._run_long(step)
        works = list(step.work.values())
        long = [work.sequence.long for work in works]
        self._stood_back = not any(long) and any(each.long for each in self.running)
        patient = all(long) and not self._hurried
        self._hurried = max(0, self._hurried - any(long))
        return Plan(works, expired, patient)

    def took(self, works: list[Work], seconds: float) -> None:
        """What a step of these took, for the next ones to be planned by."""
        self.cost.learn(sum((work.size for work in works), Size()), seconds)

    def interrupted(self) -> None:
        """The last plan was given up; the next long pieces are short, so that they are done."""
        self._hurried = ALONE

    def settle(self, work: Work, accepted: int, token: int | None) -> None:
        """The work is done: so many drafted tokens were right, and `token` follows them."""
        sequence = work.sequence
        self.waiting.charge(sequence.tenant, work.count)
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

    def _bound(self) -> float:
        """Seconds of a step in which long prompts and others meet.

        Twice what a token takes by itself at least: of less, most would be for nothing.
        """
        return max(self._step_time, 2 * self.cost.seconds(Size(1)))

    def _is_long(self, sequence: Sequence) -> bool:
        """Whether it stands back; one that does so goes on with it until it is caught up."""
        if not sequence.prefilling:
            sequence.long = False
        elif not sequence.long:
            size = size_of(sequence.computed, sequence.lacking)
            taking = self.cost.seconds(size) > ALONE * self._bound()
            sequence.long = taking or sequence.lacking > self.budget
        return sequence.long

    def _run(self, sequence: Sequence, step: Planned) -> None:
        """All of it that has room; of prompts no more than fits into the step's limit."""
        count = min(sequence.lacking, step.left)
        if sequence.prefilling:
            room = self.cost.tokens(step.size, sequence.computed, step.limit)
            count = min(count, room if step.prompts else max(room, self.pool.size))
        self._give(sequence, count, step)

    def _run_long(self, step: Planned) -> None:
        """Pieces of long prompts, first of the one that was longest without; a block at least."""
        long = [each for each in self.running if each.long and each not in step.work]
        alone = not step.work and len(long) == len(self.running) and not self.waiting
        limit = self._bound()
        if alone and not self._hurried:
            limit *= self._undisturbed
            self._undisturbed = min(UNDISTURBED, GROWTH * self._undisturbed)
        else:
            self._undisturbed = ALONE
        # Where others' own work takes long, half as much beside them is little to them.
        limit = max(limit, 1.5 * self.cost.seconds(step.size) if step.work else 0.0)
        for sequence in sorted(long, key=lambda each: (each.priority, each.turn, each.order)):
            if sequence not in self.running:
                continue  # it has just given its blocks to another one
            count = self.cost.tokens(step.size, sequence.computed, limit)
            if count < self.pool.size:
                if any(each.long for each in step.work):
                    break
                count = self.pool.size
            self._give(sequence, min(sequence.lacking, step.left, count), step)
            sequence.turn = self._steps

    def _give(self, sequence: Sequence, count: int, step: Planned) -> None:
        """So many tokens and blocks for them, which others may have to give back."""
        count = _cut(sequence, count)
        if count == 0:
            return
        while not self._extend(sequence, count):
            if sequence.draft:  # no guess is worth another one's blocks
                count = _cut(sequence, count - len(sequence.draft))
                continue
            victim = self._shares().last()
            step.undo(victim)
            self._preempt(victim)
            if victim is sequence:
                return
        step.take(Work(sequence, sequence.computed, count))

    def _admit_waiting(self, step: Planned) -> None:
        while self.waiting and step.left:
            sequence = self.waiting.next()
            if step.prompts and self.cost.seconds(step.size) > step.limit:
                break
            if not self._admit(sequence, step):
                break
            if not self._is_long(sequence):
                self._run(sequence, step)

    def _admit(self, sequence: Sequence, step: Planned) -> bool:
        """Lets it run if all of it has room now, beginning after what the cache has of it.

        What prompts that run already still need is no room.
        """
        size = self.pool.size
        blocks = self.pool.blocks_for(len(sequence.tokens))
        if len(self.running) >= self.most and not self._clear_for(sequence, blocks, step):
            return False
        known = (len(sequence.tokens) - 1) // size  # one token at least must be computed
        found = self.pool.match(sequence.keys(known, size))
        self.pool.hold(found)
        while blocks - len(found) > self.pool.free - self._promised():
            if not self._clear_for(sequence, blocks, step):
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

    def _clear_for(self, comer: Sequence, blocks: int, step: Planned) -> bool:
        """Whether one of a tenant that has more has given way to one that needs so many blocks."""
        victim = self._shares().for_another(comer, blocks) if self.running else None
        if victim is None:
            return False
        step.undo(victim)
        self._preempt(victim)
        return True

    def _promised(self) -> int:
        """Blocks that prompts which run already will need."""
        return sum(
            self.pool.blocks_for(len(each.tokens)) - len(each.blocks)
            for each in self.running
            if each.prefilling
        )

    def _shares(self) -> Shares:
        return Shares(self.running, self.most, self.pool.count)

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
