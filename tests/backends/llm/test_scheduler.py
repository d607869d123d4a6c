"""Each gets tokens until it is caught up: who first, how many, and what gives way."""

import random
from collections.abc import Callable
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.llm.blocks import BlockPool, salt
from backends.llm.cost import Size
from backends.llm.plan import Plan
from backends.llm.sampling import Sampling
from backends.llm.scheduler import Scheduler
from backends.llm.sequence import Sequence

GREEDY = Sampling(temperature=0.0)


def sequence(
    order: int,
    prompt: int = 4,
    new: int = 4,
    *,
    tenant: str = "a",
    priority: int = 1,
    deadline: float = inf,
    tokens: list[int] | None = None,
) -> Sequence:
    tokens = tokens or [order * 1000 + at for at in range(prompt)]
    limit = len(tokens) + new
    return Sequence(order, tokens, limit, GREEDY, salt(tenant), tenant, "", priority, deadline)


def run(
    scheduler: Scheduler, plan: Plan, accepted: Callable[[Sequence], int] = lambda _: 0
) -> list[Sequence]:
    """Computes a plan; who is finished by it."""
    finished = []
    for work in plan.work:
        each = work.sequence
        done = work.completes
        right = min(accepted(each), len(each.draft)) if done else 0
        scheduler.settle(work, right, 7 if done else None)
        if len(each.tokens) >= each.limit:
            scheduler.remove(each)
            finished.append(each)
    return finished


def counts(plan: Plan) -> dict[int, int]:
    return {work.sequence.order: work.count for work in plan.work}


def test_a_prompt_then_a_token_a_step() -> None:
    scheduler = Scheduler(BlockPool(8, 4))
    scheduler.add(sequence(1, prompt=6, new=3))
    seen = []
    while scheduler.running or scheduler.waiting:
        plan = scheduler.schedule(0.0)
        seen.append(counts(plan))
        run(scheduler, plan)
    assert seen == [{1: 6}, {1: 1}, {1: 1}]
    assert scheduler.pool.free == 8


def test_long_prompts_take_several_steps_and_leave_room_for_others() -> None:
    scheduler = Scheduler(BlockPool(64, 4), budget=16)
    scheduler.add(sequence(1, prompt=40))
    plan = scheduler.schedule(0.0)
    assert counts(plan) == {1: 16}
    run(scheduler, plan)
    scheduler.add(sequence(2, prompt=4))
    plan = scheduler.schedule(0.0)
    assert counts(plan) == {2: 4}
    run(scheduler, plan)
    assert counts(scheduler.schedule(0.0)) == {2: 1, 1: 15}


def test_prompts_that_fit_into_a_step_follow_one_after_the_other() -> None:
    scheduler = Scheduler(BlockPool(64, 4), budget=16)
    for order in (1, 2):
        scheduler.add(sequence(order, prompt=12))
    assert counts(scheduler.schedule(0.0)) == {1: 12, 2: 4}


def test_those_that_run_come_before_those_that_wait() -> None:
    scheduler = Scheduler(BlockPool(64, 4), budget=8)
    scheduler.add(sequence(1, prompt=8))
    run(scheduler, scheduler.schedule(0.0))
    scheduler.add(sequence(2, prompt=8))
    assert counts(scheduler.schedule(0.0)) == {1: 1, 2: 7}


def test_no_more_run_than_may() -> None:
    scheduler = Scheduler(BlockPool(64, 4), most=2)
    for order in (1, 2, 3):
        scheduler.add(sequence(order))
    assert counts(scheduler.schedule(0.0)).keys() == {1, 2}


def test_a_prefix_in_the_cache_is_not_computed_again() -> None:
    scheduler = Scheduler(BlockPool(16, 4))
    scheduler.add(sequence(1, tokens=list(range(10)), new=1))
    run(scheduler, scheduler.schedule(0.0))
    again = sequence(2, tokens=list(range(10)))
    scheduler.add(again)
    assert counts(scheduler.schedule(0.0)) == {2: 2}
    assert again.reused == 8


def test_of_a_prompt_that_is_all_there_the_last_block_is_computed_for_its_next_token() -> None:
    scheduler = Scheduler(BlockPool(16, 4))
    for order in (1, 2):
        scheduler.add(sequence(order, tokens=list(range(8)), new=1))
        plan = scheduler.schedule(0.0)
        run(scheduler, plan)
    assert counts(plan) == {2: 4}


def test_another_tenants_prefix_is_computed_again() -> None:
    scheduler = Scheduler(BlockPool(16, 4))
    scheduler.add(sequence(1, tokens=list(range(9)), new=1, tenant="a"))
    run(scheduler, scheduler.schedule(0.0))
    scheduler.add(sequence(2, tokens=list(range(9)), tenant="b"))
    assert counts(scheduler.schedule(0.0)) == {2: 9}


def test_where_the_cache_is_full_the_last_comer_gives_its_blocks_back() -> None:
    scheduler = Scheduler(BlockPool(4, 2))
    first, second = sequence(1, prompt=4, new=4), sequence(2, prompt=4, new=4)
    scheduler.add(first)
    scheduler.add(second)
    run(scheduler, scheduler.schedule(0.0))
    plan = scheduler.schedule(0.0)
    assert counts(plan) == {1: 1}
    assert scheduler.preemptions == 1
    assert list(scheduler.waiting) == [second]
    assert len(second.tokens) == 5  # what it has said stays said
    assert (second.computed, second.blocks) == (0, [])


def test_the_lower_priority_gives_way_though_it_came_first() -> None:
    scheduler = Scheduler(BlockPool(4, 2))
    scheduler.add(sequence(1, prompt=4, priority=2))
    scheduler.add(sequence(2, prompt=4, priority=1))
    run(scheduler, scheduler.schedule(0.0))
    assert counts(scheduler.schedule(0.0)) == {2: 1}


def test_guesses_go_before_anybodys_blocks_do() -> None:
    scheduler = Scheduler(BlockPool(4, 2))
    for order in (1, 2):
        scheduler.add(sequence(order, prompt=3, new=5))
    run(scheduler, scheduler.schedule(0.0))
    for each in scheduler.running:
        each.draft = [1, 2, 3]
    assert counts(scheduler.schedule(0.0)) == {1: 1, 2: 1}
    assert scheduler.preemptions == 0


def test_right_guesses_are_kept_and_wrong_ones_computed_over() -> None:
    scheduler = Scheduler(BlockPool(16, 2))
    one = sequence(1, prompt=4, new=9)
    scheduler.add(one)
    run(scheduler, scheduler.schedule(0.0))
    one.draft = [11, 12, 13]
    plan = scheduler.schedule(0.0)
    assert counts(plan) == {1: 4}
    run(scheduler, plan, accepted=lambda _: 2)
    assert one.tokens[-4:] == [7, 11, 12, 7]
    assert one.lacking == 1


def test_what_is_too_late_is_dropped_waiting_or_running() -> None:
    scheduler = Scheduler(BlockPool(16, 2), most=1)
    late, later = sequence(1, deadline=5.0), sequence(2, deadline=6.0)
    scheduler.add(late)
    scheduler.add(later)
    assert scheduler.schedule(0.0).expired == []
    assert scheduler.schedule(6.0).expired == [late, later]
    assert scheduler.pool.free == 16


def knowing(pool: BlockPool, *, step_time: float = 0.02, **settings: int) -> Scheduler:
    """Its steps take 1 ms a token, and may take 20 where long prompts and others meet."""
    scheduler = Scheduler(pool, step_time=step_time, **settings)
    for tokens in (1, 10, 30) * 10:
        scheduler.cost.learn(Size(tokens), tokens * 1e-3)
    return scheduler


def test_a_long_prompt_alone_has_steps_that_may_be_interrupted() -> None:
    scheduler = knowing(BlockPool(64, 8))
    scheduler.add(sequence(1, prompt=450))
    plan = scheduler.schedule(0.0)
    assert plan.patient
    assert 70 <= plan.work[0].count <= 80


def test_its_steps_grow_as_long_as_nobody_comes() -> None:
    scheduler = knowing(BlockPool(256, 8))
    scheduler.add(sequence(1, prompt=1800))
    counted = []
    for _ in range(6):
        plan = scheduler.schedule(0.0)
        counted.append(plan.work[0].count)
        run(scheduler, plan)
    assert counted == sorted(counted)
    assert 300 <= counted[-1] <= 320
    scheduler.schedule(0.0)
    scheduler.interrupted()
    for _ in range(4):
        run(scheduler, scheduler.schedule(0.0))
    assert 70 <= scheduler.schedule(0.0).work[0].count <= 80


def test_beside_others_a_long_prompt_gets_what_is_left_of_the_time() -> None:
    scheduler = knowing(BlockPool(64, 8))
    scheduler.add(sequence(1, prompt=3, new=20))
    run(scheduler, scheduler.schedule(0.0))
    scheduler.add(sequence(2, prompt=300))
    plan = scheduler.schedule(0.0)
    assert not plan.patient
    assert counts(plan)[1] == 1
    assert 17 <= counts(plan)[2] <= 19


def test_beside_many_others_a_long_prompt_gets_a_block_at_least() -> None:
    scheduler = knowing(BlockPool(64, 8))
    scheduler.add(sequence(0, prompt=300))
    for order in range(1, 15):
        scheduler.add(sequence(order, prompt=1, new=20))
    for _ in range(3):
        plan = scheduler.schedule(0.0)
        run(scheduler, plan)
    assert counts(plan) == {0: 8} | dict.fromkeys(range(1, 15), 1)


def test_a_step_is_not_aimed_below_twice_what_a_token_takes_alone() -> None:
    scheduler = Scheduler(BlockPool(256, 8), step_time=0.02)
    for tokens in (1, 10, 100) * 10:
        scheduler.cost.learn(Size(tokens), 1.0 + tokens * 0.01)
    scheduler.add(sequence(1, prompt=3, new=20))
    run(scheduler, scheduler.schedule(0.0))
    scheduler.add(sequence(2, prompt=900))
    assert 95 <= counts(scheduler.schedule(0.0))[2] <= 105


def test_who_comes_has_a_first_token_before_a_long_prompt_goes_on() -> None:
    scheduler = knowing(BlockPool(64, 8))
    scheduler.add(sequence(1, prompt=450))
    run(scheduler, scheduler.schedule(0.0))
    scheduler.add(sequence(2, prompt=10))
    assert counts(scheduler.schedule(0.0)) == {2: 10}


def test_a_long_prompt_goes_on_though_others_come_in_every_step() -> None:
    scheduler = knowing(BlockPool(64, 8))
    long = sequence(0, prompt=300)
    scheduler.add(long)
    for order in range(1, 100):
        scheduler.add(sequence(order, prompt=5, new=1))
        run(scheduler, scheduler.schedule(0.0))
        if long.lacking < 2:
            break
    assert long.lacking < 2
    assert order < 2 * 300 / 8 + 4


def test_after_an_interruption_long_prompts_have_short_steps_that_are_done() -> None:
    scheduler = knowing(BlockPool(64, 8))
    scheduler.add(sequence(1, prompt=300))
    scheduler.schedule(0.0)
    scheduler.interrupted()
    for _ in range(4):
        plan = scheduler.schedule(0.0)
        assert not plan.patient
        assert 18 <= plan.work[0].count <= 20
        run(scheduler, plan)
    assert scheduler.schedule(0.0).patient


def test_long_prompts_take_turns() -> None:
    scheduler = knowing(BlockPool(256, 8))
    for order in (1, 2):
        scheduler.add(sequence(order, prompt=900))
    turns = []
    for _ in range(4):
        plan = scheduler.schedule(0.0)
        turns.append(list(counts(plan)))
        run(scheduler, plan)
    assert turns == [[1], [2], [1], [2]]


def test_many_short_prompts_share_a_step_which_is_bounded_where_a_long_one_waits_for_them() -> None:
    scheduler = knowing(BlockPool(256, 8))
    for order in range(9):
        scheduler.add(sequence(order, prompt=30, new=1))
    plan = scheduler.schedule(0.0)
    assert counts(plan) == dict.fromkeys(range(9), 30)
    run(scheduler, plan)
    scheduler.add(sequence(9, prompt=300))
    run(scheduler, scheduler.schedule(0.0))
    for order in range(10, 19):
        scheduler.add(sequence(order, prompt=30))
    plan = scheduler.schedule(0.0)
    assert 70 <= sum(counts(plan).values()) <= 80
    assert plan.work[0].completes


def test_a_prompt_waits_for_room_that_those_before_it_still_need() -> None:
    """Else they would take turns and each other's blocks."""
    scheduler = knowing(BlockPool(50, 8))
    for order in range(3):
        scheduler.add(sequence(order, prompt=300, tenant=str(order)))
    computed = 0
    while scheduler.running or scheduler.waiting:
        plan = scheduler.schedule(0.0)
        computed += sum(work.count for work in plan.work)
        run(scheduler, plan)
    assert computed == 3 * (300 + 3)
    assert scheduler.preemptions == 0


def test_an_interrupted_step_is_charged_to_nobody() -> None:
    scheduler = knowing(BlockPool(64, 8), most=1)
    scheduler.add(sequence(1, prompt=300, tenant="a"))
    scheduler.schedule(0.0)
    for order, tenant in ((2, "a"), (3, "b")):
        scheduler.add(sequence(order, tenant=tenant))
    for _ in range(3):
        scheduler.schedule(0.0)
        scheduler.interrupted()
    assert scheduler.waiting.next().order == 2


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 12), st.integers(20, 200), st.integers(0, 6), st.integers(1, 9))
def test_who_comes_runs_soon_however_much_another_tenant_asks_for(
    most: int, blocks: int, steps: int, prompt: int
) -> None:
    scheduler = Scheduler(BlockPool(blocks, 4), most=most)
    for order in range(2 * most):
        scheduler.add(sequence(order, prompt=4, new=60, tenant="greedy"))
    for _ in range(steps):
        run(scheduler, scheduler.schedule(0.0))
    comer = sequence(99, prompt=prompt, new=1, tenant="modest")
    scheduler.add(comer)
    for _ in range(3):
        run(scheduler, scheduler.schedule(0.0))
    assert comer.output


@st.composite
def crowds(draw: st.DrawFn) -> list[Sequence]:
    rng = random.Random(draw(st.integers(0, 1 << 30)))
    shared = [rng.randrange(50) for _ in range(12)]
    crowd = []
    for order in range(draw(st.integers(1, 14))):
        tokens = shared[: rng.randrange(13)] + [rng.randrange(50) for _ in range(rng.randint(1, 9))]
        crowd.append(
            sequence(
                order,
                tokens=tokens,
                new=rng.randint(1, 12),
                tenant=rng.choice("abc"),
                priority=rng.randint(1, 2),
                deadline=rng.choice([inf, inf, inf, rng.uniform(0.0, 60.0)]),
            )
        )
    return crowd


@settings(deadline=None, max_examples=60)
@given(crowds(), st.integers(17, 40), st.integers(1, 24), st.integers(1, 6), st.randoms())
def test_everybody_comes_to_an_end_in_time_and_order_and_blocks_are_counted(
    crowd: list[Sequence], blocks: int, budget: int, most: int, rng: random.Random
) -> None:
    scheduler = Scheduler(BlockPool(blocks, 2), budget=budget, most=most)
    if rng.random() < 0.5:
        step_time = rng.choice([0.001, 0.004])
        scheduler = knowing(BlockPool(blocks, 2), budget=budget, most=most, step_time=step_time)
    coming = list(crowd)
    finished: list[Sequence] = []
    steps, now = 0, 0.0
    while coming or scheduler.running or scheduler.waiting:
        steps += 1
        assert steps < 3000
        if coming and rng.random() < 0.5:
            scheduler.add(coming.pop(0))
        if finished and scheduler.running and rng.random() < 0.02:
            gone = rng.choice(scheduler.running)
            scheduler.remove(gone)
            finished.append(gone)
        for each in scheduler.running:
            if not each.prefilling:
                room = each.limit - len(each.tokens) - 1
                each.draft = [1] * min(rng.randint(0, 3), max(0, room))
        now += rng.random()
        plan = scheduler.schedule(now)
        finished += plan.expired
        assert all(each.deadline <= now for each in plan.expired)
        here = [*scheduler.running, *scheduler.waiting]
        assert all(each.deadline > now for each in here)
        for each in here:
            # Of a tenant and priority nobody has begun before one that came earlier.
            alike = (each.tenant, each.priority)
            begun = [o.order for o in here if o.started and (o.tenant, o.priority) == alike]
            assert each.started or each.order > max(begun, default=-1)
        if plan.patient and rng.random() < 0.3:
            scheduler.interrupted()
            continue
        assert sum(work.count for work in plan.work) <= budget
        assert len(scheduler.running) <= most
        assert plan.work or not (scheduler.running or scheduler.waiting)
        for work in plan.work:
            assert work.count > 0
            assert len(work.sequence.blocks) * 2 >= work.start + work.count
            # What is written now is written by one alone.
            mine = set(work.sequence.blocks[work.start // 2 :])
            others = {
                block
                for other in scheduler.running
                if other is not work.sequence
                for block in other.blocks
            }
            assert not mine & others
        held = {block for each in scheduler.running for block in each.blocks}
        assert scheduler.pool.free == blocks - len(held)
        finished += run(scheduler, plan, accepted=lambda _: rng.randint(0, 3))
    assert {each.order for each in finished} == {each.order for each in crowd}
    assert scheduler.pool.free == blocks
