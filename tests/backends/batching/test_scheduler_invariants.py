"""Whatever happens in whatever order: what must hold of the scheduler always."""

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backends.batching.batch import Reason
from backends.batching.job import BatchPolicy
from backends.batching.scheduler import Scheduler
from backends.batching.trials import GIVE_UP_AFTER
from protos.errors import Kind, PenstockError
from tests.backends.jobs import job, rows_of

BATCHING, ALONE = ("batching", "1"), ("alone", "1")
POLICIES = {
    BATCHING: BatchPolicy(max_rows=4, sizes=(1, 2, 4), max_queue_rows=60),
    ALONE: BatchPolicy(max_rows=0, max_queue_rows=20),
}
BROKEN = PenstockError(Kind.MODEL_FAILED, "the model failed")


class SchedulerMachine(RuleBasedStateMachine):
    """Adds, cancels, executes, fails and lets time pass, and keeps the books itself."""

    @initialize()
    def begin(self):
        self.now = 0.0
        self.made = Scheduler()
        for key, policy in POLICIES.items():
            self.made.add_model(key, policy)
        self.open = {}  # accepted and not answered
        self.running = []

    @rule(
        key=st.sampled_from([BATCHING, ALONE]),
        rows=st.integers(1, 11),
        width=st.sampled_from([1, 2]),
        timeout=st.sampled_from([0.05, 0.5, 5.0, inf]),
        priority=st.integers(1, 3),
        tenant=st.sampled_from(["a", "b"]),
        suspect=st.booleans(),
        shadow=st.booleans(),
    )
    def add(self, key, rows, width, timeout, priority, tenant, suspect, shadow):
        new = job(
            rows,
            now=self.now,
            timeout=timeout,
            width=width,
            model=key,
            policy=POLICIES[key],
            priority=priority,
            tenant=tenant,
            suspect=suspect,
            shadow=shadow,
        )
        try:
            self.made.add(new, self.now)
        except PenstockError as error:
            refused = error
        else:
            self.open[new.id] = new
            return
        assert refused.kind is Kind.OVERLOADED
        assert refused.retry_after > 0

    @rule(ahead=st.booleans())
    def take(self, ahead):
        if len(self.running) >= 2:
            return
        decision = self.made.next_batch(self.now, ahead=ahead)
        for outcome in decision.dropped:
            assert outcome.error.kind is Kind.DEADLINE
            self.answered(outcome)
        batch = decision.batch
        if batch is None:
            if not ahead and not self.running:
                assert decision.until > self.now, "it must not be asked again at once"
            return
        policy = POLICIES[batch.key]
        assert 0 < batch.rows <= batch.padded_rows
        if policy.max_rows:
            assert batch.padded_rows <= policy.max_rows
            assert batch.padded_rows in policy.sizes
        else:
            assert len(batch.pieces) == 1
        for piece in batch.pieces:
            assert piece.job.deadline > self.now, "a batch never starts a late job"
            assert piece.job.bucket == batch.bucket
        if any(piece.job.suspect for piece in batch.pieces):
            assert len(batch.pieces) == 1
            assert not any(p.job.suspect for other in self.running for p in other.pieces)
        self.running.append(batch)

    def next_running(self):
        """The batch whose turn it is, without those who have become late since it was taken."""
        decision = self.made.begin(self.running.pop(0), self.now)
        for outcome in decision.dropped:
            assert outcome.error.kind is Kind.DEADLINE
            self.answered(outcome)
        if decision.batch is not None:
            assert all(piece.job.deadline > self.now for piece in decision.batch.pieces)
        return decision.batch

    @rule(seconds=st.sampled_from([0.001, 0.1]))
    def settle(self, seconds):
        batch = self.next_running() if self.running else None
        if batch is not None:
            started, self.now = self.now, self.now + seconds
            for outcome in self.made.settle(batch, rows_of(batch), started, self.now, seconds):
                assert outcome.error is None
                assert (outcome.outputs["y"] == outcome.job.inputs["x"]).all()
                self.answered(outcome)

    @rule()
    def fail(self):
        batch = self.next_running() if self.running else None
        if batch is not None:
            for outcome in self.made.fail(batch, BROKEN, self.now, self.now):
                assert outcome.error is BROKEN
                self.answered(outcome)

    @rule(data=st.data())
    def cancel(self, data):
        if self.open:
            chosen = data.draw(st.sampled_from(sorted(self.open)))
            assert self.made.cancel(chosen) is self.open.pop(chosen)

    @rule(seconds=st.sampled_from([0.0001, 0.01, 0.3]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def expire(self):
        for outcome in self.made.expire(self.now):
            self.answered(outcome)

    def answered(self, outcome):
        assert outcome.final
        assert self.open.pop(outcome.job.id) is outcome.job, "a job is answered once"

    @invariant()
    def nothing_is_lost(self):
        assert self.made.jobs == len(self.open)
        counted = sum(self.made.pending(key) for key in POLICIES)
        assert counted == len(self.open)
        if not self.open:
            assert self.made.next_expiry() == inf

    def teardown(self):
        """Everything that is left is executed, whatever happened before."""
        if not hasattr(self, "made"):
            return
        for _ in range(1000):
            while self.running:
                self.settle(0.001)
            decision = self.made.next_batch(self.now)
            for outcome in decision.dropped:
                self.answered(outcome)
            if decision.batch is not None:
                self.running.append(decision.batch)
            elif self.open:
                assert decision.until < inf
                self.now = decision.until
            else:
                break
        assert not self.open
        assert self.made.work(self.now) == 0.0


SchedulerMachine.TestCase.settings = settings(
    deadline=None, max_examples=60, stateful_step_count=40
)
TestScheduler = SchedulerMachine.TestCase


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(0.1, 4.9), st.integers(1, 3)), min_size=1, max_size=30))
def test_within_a_priority_the_earliest_deadline_goes_first(wanted):
    policy = BatchPolicy(max_rows=1)
    made = Scheduler()
    made.add_model(BATCHING, policy)
    for timeout, priority in wanted:
        made.add(job(model=BATCHING, policy=policy, timeout=timeout, priority=priority), 0.0)
    order = []
    while (batch := made.next_batch(0.0).batch) is not None:
        order.append(batch.pieces[0].job)
    assert order == sorted(order, key=lambda each: (each.priority, each.deadline, each.id))
    assert len(order) == len(wanted)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 32), st.data())
def test_bisecting_finds_exactly_the_bad_ones(number, data):
    policy = BatchPolicy(max_rows=32)
    made = Scheduler()
    made.add_model(BATCHING, policy)
    jobs = [job(model=BATCHING, policy=policy) for _ in range(number)]
    bad = set(
        data.draw(st.lists(st.sampled_from([each.id for each in jobs]), max_size=GIVE_UP_AFTER - 1))
    )
    for each in jobs:
        made.add(each, 0.0)
    failed, good, executions = set(), set(), 0
    while (batch := made.next_batch(0.0).batch) is not None:
        executions += 1
        assert (batch.reason is Reason.BISECT) == (executions > 1)
        if bad & {piece.job.id for piece in batch.pieces}:
            failed |= {o.job.id for o in made.fail(batch, BROKEN, 0.0, 0.0)}
        else:
            found = made.settle(batch, rows_of(batch), 0.0, 0.001, 0.001)
            good |= {outcome.job.id for outcome in found}
    assert failed == bad
    assert good == {each.id for each in jobs} - bad
    assert executions <= 2 * number - 1
