from math import inf

import pytest

from backends.batching.batch import Reason
from backends.batching.job import BatchPolicy
from backends.batching.queued import PATIENCE
from backends.batching.scheduler import Scheduler
from backends.batching.tenants import QUANTUM
from backends.batching.trials import GIVE_UP_AFTER
from protos.errors import Kind, PenstockError
from tests.backends.jobs import KEY, POLICY, ids, job, scheduler, settle

ONE = BatchPolicy(max_rows=1)
BROKEN = PenstockError(Kind.MODEL_FAILED, "the model failed")


def refusal(made, refused, now=0.0):
    with pytest.raises(PenstockError) as caught:
        made.add(refused, now)
    return caught.value


def add(made, *jobs, now=0.0):
    for each in jobs:
        made.add(each, now)
    return [each.id for each in jobs]


def served(made, now=0.0, seconds=0.001):
    """The ids in the order in which they are executed, from now on without pause."""
    order = []
    while (batch := made.next_batch(now).batch) is not None:
        order += ids(batch)
        now += seconds
        settle(made, batch, now, seconds)
    return order


def busy(made, work=10.0):
    """Demand so high that the device can't keep up without batching."""
    for _ in range(100):
        made._demand.add(work, 0.0)


# Batches


def test_an_idle_device_that_keeps_up_executes_at_once():
    made = scheduler()
    (one,) = add(made, job())
    batch = made.next_batch(0.0).batch
    assert ids(batch) == [one]
    assert batch.reason is Reason.IDLE


def test_nothing_to_do_means_sleeping_until_woken():
    decision = scheduler().next_batch(0.0)
    assert decision.batch is None
    assert decision.until == inf


def test_rows_are_counted_not_requests():
    made = scheduler()
    first = add(made, job(3), job(3))
    second = add(made, job(3), job(5))
    assert ids(made.next_batch(0.0).batch) == first
    assert ids(made.next_batch(0.0).batch) == second


def test_batches_are_filled_up_to_an_allowed_size():
    made = scheduler(BatchPolicy(max_rows=8, sizes=(2, 4, 8)))
    add(made, job(), job(), job())
    batch = made.next_batch(0.0).batch
    assert (batch.rows, batch.padded_rows) == (3, 4)


def test_different_buckets_do_not_share_a_batch():
    made = scheduler()
    (narrow,) = add(made, job(width=4))
    (wide,) = add(made, job(width=5))
    assert ids(made.next_batch(0.0).batch) == [narrow]
    assert ids(made.next_batch(0.0).batch) == [wide]


def test_a_model_without_batch_dimension_runs_one_request_at_a_time():
    policy = BatchPolicy(max_rows=0)
    made = scheduler(policy)
    expected = add(made, job(policy=policy), job(policy=policy))
    batch = made.next_batch(0.0).batch
    assert ids(batch) == expected[:1]
    assert batch.reason is Reason.ALONE


def test_under_high_demand_a_batch_waits_for_company_until_nothing_more_comes():
    made = scheduler(seconds_a_row=0.0001)
    busy(made)
    add(made, job())
    decision = made.next_batch(0.0)
    assert decision.batch is None
    quiet = POLICY.max_delay / 8
    assert decision.until == pytest.approx(quiet)
    assert made.next_batch(quiet).batch.reason is Reason.QUIET


def test_under_high_demand_the_delay_caps_the_waiting_while_more_comes():
    made = scheduler(seconds_a_row=0.0001)
    busy(made)
    for step in range(5):
        add(made, job(now=step * 0.0004), now=step * 0.0004)
    assert made.next_batch(0.0017).batch is None
    batch = made.next_batch(POLICY.max_delay).batch
    assert batch.reason is Reason.DELAY
    assert batch.rows == 5


def test_a_full_batch_does_not_wait():
    made = scheduler(seconds_a_row=0.0001)
    busy(made)
    add(made, *[job() for _ in range(8)])
    assert made.next_batch(0.0).batch.reason is Reason.FULL


def test_a_batch_leaves_in_time_for_its_earliest_deadline():
    made = scheduler(seconds_a_row=0.001)  # a full batch takes 8 ms
    busy(made)
    add(made, job(timeout=0.0094))
    assert made.next_batch(0.0).until < POLICY.max_delay / 8
    assert made.next_batch(0.0002).batch.reason is Reason.DEADLINE


def test_another_model_s_full_batch_goes_while_the_first_one_waits():
    made = scheduler(seconds_a_row=0.0001)
    made.add_model(("n", "1"), POLICY)
    busy(made)
    add(made, job(timeout=1.0))
    full = add(made, *[job(model=("n", "1"), timeout=2.0) for _ in range(8)])
    assert ids(made.next_batch(0.0).batch) == full


def test_only_what_cannot_grow_is_prepared_ahead():
    made = scheduler()
    add(made, *[job() for _ in range(7)])
    assert made.next_batch(0.0, ahead=True).batch is None
    add(made, job())
    assert made.next_batch(0.0, ahead=True).batch.rows == 8


# Order


def test_the_earliest_deadline_goes_first():
    made = scheduler(ONE)
    late, early, middle = add(made, *[job(policy=ONE, timeout=t) for t in (3.0, 1.0, 2.0)])
    assert served(made) == [early, middle, late]


def test_a_higher_priority_goes_before_an_earlier_deadline():
    made = scheduler(ONE)
    low, high = add(
        made, job(policy=ONE, timeout=0.5, priority=2), job(policy=ONE, timeout=4.0, priority=1)
    )
    assert served(made) == [high, low]


def test_whoever_waits_long_enough_goes_before_a_higher_priority():
    made = scheduler(ONE)
    old = job(policy=ONE, priority=3)
    young = job(policy=ONE, priority=1, now=2 * PATIENCE + 1)
    add(made, old)
    add(made, young, now=young.arrival)
    assert served(made, young.arrival) == [old.id, young.id]


def test_a_steady_flow_of_deadlines_does_not_starve_a_job_without():
    made = scheduler(ONE)
    (patient,) = add(made, job(policy=ONE))
    now, order = 0.0, []
    while patient not in order:
        for _ in range(2):
            add(made, job(policy=ONE, now=now, timeout=1.0), now=now)
        batch = made.next_batch(now).batch
        order += ids(batch)
        settle(made, batch, now, 0.0)
        now += 0.1
        assert now <= PATIENCE + 0.2


def test_priorities_below_the_last_level_are_the_last_level():
    policy = BatchPolicy(max_rows=1, priority_levels=2)
    made = scheduler(policy)
    first, second = add(
        made,
        job(policy=policy, priority=2, timeout=2.0),
        job(policy=policy, priority=9, timeout=1.0),
    )
    assert served(made) == [second, first]
    assert refusal(made, job(policy=policy, priority=0)).kind is Kind.INVALID


def test_models_take_turns_by_deadline():
    made = scheduler(ONE)
    made.add_model(("n", "1"), ONE)
    expected = [
        job(policy=ONE, timeout=1.0),
        job(policy=ONE, timeout=1.1, model=("n", "1")),
        job(policy=ONE, timeout=1.2),
    ]
    add(made, *reversed(expected))
    assert served(made) == [each.id for each in expected]


def test_a_tenant_that_floods_the_device_does_not_hold_up_the_others():
    made = scheduler(seconds_a_row=0.01)
    flood = [job(tenant="loud", timeout=4.0) for _ in range(200)]
    add(made, *flood[:100])
    for _ in range(4):
        settle(made, made.next_batch(0.0).batch, 0.0)
    add(made, *flood[100:])
    quiet = add(made, *[job(tenant="quiet", timeout=4.5) for _ in range(4)])
    assert set(quiet) <= set(ids(made.next_batch(0.0).batch))


def test_tenants_share_by_their_weights():
    made = scheduler(ONE, seconds_a_row=QUANTUM / 4, weights={"gold": 3.0})
    gold = add(made, *[job(policy=ONE, tenant="gold") for _ in range(400)])
    lead = add(made, *[job(policy=ONE, tenant="lead") for _ in range(400)])
    first = set(served_first(made, 200))
    assert len(first & set(gold)) == pytest.approx(150, abs=8)
    assert len(first & set(lead)) == pytest.approx(50, abs=8)


def served_first(made, number):
    order = []
    while len(order) < number:
        batch = made.next_batch(0.0).batch
        order += ids(batch)
        settle(made, batch, 0.0, QUANTUM / 4)
    return order


def test_a_tenant_that_rested_saves_up_one_quantum_at_most():
    made = scheduler(ONE, seconds_a_row=QUANTUM / 4)
    add(made, *[job(policy=ONE, tenant="steady") for _ in range(300)])
    served_first(made, 100)
    rested = add(made, *[job(policy=ONE, tenant="rested") for _ in range(100)])
    ahead = [each in rested for each in served_first(made, 40)]
    assert 20 <= sum(ahead) <= 28


def test_shadow_jobs_run_only_when_nobody_else_waits():
    made = scheduler()
    (shadow,) = add(made, job(shadow=True, priority=1, timeout=1.0))
    (real,) = add(made, job(priority=3))
    assert ids(made.next_batch(0.0).batch) == [real]
    assert ids(made.next_batch(0.0).batch) == [shadow]


def test_suspects_execute_alone_and_one_at_a_time():
    made = scheduler()
    first, second = add(made, job(suspect=True, timeout=1.0), job(suspect=True, timeout=2.0))
    (innocent,) = add(made, job(timeout=3.0))
    batch = made.next_batch(0.0).batch
    assert ids(batch) == [first]
    assert batch.reason is Reason.ALONE
    assert ids(made.next_batch(0.0).batch) == [innocent]
    assert made.next_batch(0.0).batch is None
    settle(made, batch, 0.0)
    assert ids(made.next_batch(0.0).batch) == [second]


# Refusals and deadlines


def test_a_deadline_that_is_over_is_not_queued():
    assert refusal(scheduler(), job(timeout=-1.0)).kind is Kind.DEADLINE


def test_a_full_queue_refuses_with_a_time_to_come_back():
    made = scheduler(BatchPolicy(max_rows=8, max_queue_rows=10), seconds_a_row=0.01)
    add(made, job(6))
    error = refusal(made, job(5))
    assert error.kind is Kind.OVERLOADED
    assert error.retry_after == pytest.approx(0.06)
    add(made, job(4))


def test_a_request_that_can_never_fit_is_too_large():
    made = scheduler(BatchPolicy(max_rows=8, max_queue_rows=10))
    assert refusal(made, job(11)).kind is Kind.TOO_LARGE


def test_shadow_jobs_do_not_take_the_places_of_the_others():
    made = scheduler(BatchPolicy(max_rows=8, max_queue_rows=10))
    add(made, *[job(shadow=True) for _ in range(10)])
    assert refusal(made, job(shadow=True)).kind is Kind.OVERLOADED
    add(made, job(10))


def test_what_would_miss_its_deadline_is_refused_on_arrival():
    made = scheduler(seconds_a_row=0.01)
    add(made, *[job(timeout=1.0) for _ in range(16)])
    error = refusal(made, job(timeout=0.2, priority=3))
    assert error.kind is Kind.OVERLOADED
    assert 0.05 < error.retry_after < 0.2


def test_an_urgent_job_is_admitted_before_a_backlog_that_can_wait():
    made = scheduler(seconds_a_row=0.01)
    add(made, *[job(timeout=4.0) for _ in range(100)])
    (urgent,) = add(made, job(timeout=0.2))
    assert ids(made.next_batch(0.0).batch)[0] == urgent


def test_a_quiet_tenant_is_admitted_where_a_loud_one_is_refused():
    made = scheduler(seconds_a_row=0.01)
    add(made, *[job(tenant="loud", timeout=0.9) for _ in range(64)])
    assert refusal(made, job(tenant="loud", timeout=0.5, priority=3)).kind is Kind.OVERLOADED
    add(made, job(tenant="quiet", timeout=0.5, priority=3))


def test_a_refused_job_leaves_nothing_behind():
    made = scheduler(seconds_a_row=0.01)
    add(made, *[job(timeout=1.0) for _ in range(16)])
    refusal(made, job(timeout=0.01, tenant="unlucky"))
    assert made.jobs == 16
    assert len(served(made)) == 16


def test_an_idle_device_takes_what_seems_too_slow_or_it_would_never_learn_better():
    made = scheduler(ONE, base=10.0)
    add(made, job(policy=ONE, timeout=1.0))
    batch = made.next_batch(0.0).batch
    settle(made, batch, 0.0, 0.001)
    assert made.cost.predict(KEY, batch.bucket, 1) < 10.0


def test_a_late_job_is_dropped_unexecuted():
    made = scheduler()
    late, good = job(timeout=1.0), job(timeout=9.0)
    add(made, late, good)
    decision = made.next_batch(2.0)
    (dropped,) = decision.dropped
    assert dropped.job is late
    assert dropped.error.kind is Kind.DEADLINE
    assert dropped.final
    assert not dropped.executed
    assert ids(decision.batch) == [good.id]


def test_a_job_that_cannot_be_done_in_time_makes_room_for_one_that_can():
    made = scheduler(ONE, base=0.1)
    hopeless, good = job(policy=ONE, timeout=0.3), job(policy=ONE, timeout=0.9)
    add(made, hopeless, good)
    decision = made.next_batch(0.25)
    assert [outcome.job for outcome in decision.dropped] == [hopeless]
    assert ids(decision.batch) == [good.id]


def test_a_job_that_seems_hopeless_is_tried_when_the_device_has_nothing_else():
    made = scheduler(ONE, base=0.1)
    (hopeless,) = add(made, job(policy=ONE, timeout=0.3))
    assert ids(made.next_batch(0.25).batch) == [hopeless]


def test_deadlines_are_seen_while_the_device_is_busy():
    made = scheduler()
    first, second = job(timeout=1.0), job(timeout=2.0, priority=1)
    add(made, first, second)
    assert made.next_expiry() == 1.0
    assert [outcome.job for outcome in made.expire(1.0)] == [first]
    assert made.next_expiry() == 2.0


def test_a_batch_taken_ahead_loses_those_who_are_late_when_its_turn_comes():
    made = scheduler()
    late, *good = [job(timeout=1.0), *[job() for _ in range(7)]]
    add(made, late, *good)
    ahead = made.next_batch(0.0, ahead=True).batch
    assert made.begin(ahead, 0.5).batch is ahead
    decision = made.begin(ahead, 1.5)
    assert [(outcome.job, outcome.executed) for outcome in decision.dropped] == [(late, False)]
    assert ids(decision.batch) == [each.id for each in good]
    assert len(settle(made, decision.batch, 1.5)) == 7


def test_a_batch_taken_ahead_of_which_all_are_late_is_not_executed():
    made = scheduler()
    add(made, *[job(timeout=1.0) for _ in range(8)])
    decision = made.begin(made.next_batch(0.0, ahead=True).batch, 1.5)
    assert decision.batch is None
    assert len(decision.dropped) == 8
    assert made.work(1.5) == 0.0


def test_a_cancelled_job_is_taken_out():
    made = scheduler()
    gone, stays = add(made, job(), job())
    assert made.cancel(gone).id == gone
    assert made.cancel(gone) is None
    assert served(made) == [stays]


def test_the_result_of_a_cancelled_job_that_executes_is_dropped():
    made = scheduler()
    gone, stays = add(made, job(), job())
    batch = made.next_batch(0.0).batch
    made.cancel(gone)
    assert [outcome.job.id for outcome in settle(made, batch, 0.0)] == [stays]


# Oversize requests


def test_an_oversize_request_is_split_and_its_answer_joined_in_order():
    made = scheduler()
    big, small = job(20), job(2)
    add(made, big, small)
    batches = [made.next_batch(0.0).batch for _ in range(3)]
    assert [batch.rows for batch in batches] == [8, 8, 6]
    outcomes = [outcome for batch in reversed(batches) for outcome in settle(made, batch, 0.0)]
    assert [outcome.job for outcome in outcomes] == [small, big]
    assert (outcomes[-1].outputs["y"] == big.inputs["x"]).all()


def test_one_bad_piece_fails_the_whole_request_once():
    made = scheduler()
    (big,) = add(made, job(20))
    first = made.next_batch(0.0).batch
    (outcome,) = made.fail(first, BROKEN, 0.0, 0.1)
    assert outcome.job.id == big
    assert outcome.error is BROKEN
    assert made.next_batch(0.0).batch is None
    assert made.jobs == 0


# Failures


def run_to_the_end(made, bad):
    """Executes everything; a batch with a bad job fails. Outcomes by id, and how many batches."""
    outcomes, executions = {}, 0
    while (batch := made.next_batch(0.0).batch) is not None:
        executions += 1
        if bad & set(ids(batch)):
            found = made.fail(batch, BROKEN, 0.0, 0.001)
        else:
            found = settle(made, batch, 0.0)
        for outcome in found:
            assert outcome.job.id not in outcomes
            outcomes[outcome.job.id] = outcome
    return outcomes, executions


def test_one_bad_input_fails_alone():
    made = scheduler()
    all_ids = add(made, *[job() for _ in range(8)])
    outcomes, executions = run_to_the_end(made, {all_ids[5]})
    assert [i for i, outcome in outcomes.items() if outcome.error is not None] == [all_ids[5]]
    assert len(outcomes) == 8
    assert executions == 7  # 8, then 4 + 4, 2 + 2 and 1 + 1


def test_halves_of_a_failed_batch_say_so():
    made = scheduler()
    add(made, job(), job())
    made.fail(made.next_batch(0.0).batch, BROKEN, 0.0, 0.1)
    assert made.next_batch(0.0).batch.reason is Reason.BISECT


def test_a_model_that_fails_whatever_it_gets_is_given_up_early():
    policy = BatchPolicy(max_rows=64)
    made = scheduler(policy)
    all_ids = add(made, *[job(policy=policy) for _ in range(64)])
    outcomes, executions = run_to_the_end(made, set(all_ids))
    assert set(outcomes) == set(all_ids)
    assert executions < 3 * GIVE_UP_AFTER


def test_a_reply_of_the_wrong_shape_is_not_tried_again():
    made = scheduler()
    add(made, job(), job())
    wrong = PenstockError(Kind.BAD_REPLY, "wrong")
    assert len(made.fail(made.next_batch(0.0).batch, wrong, 0.0, 0.1)) == 2
    assert made.next_batch(0.0).batch is None


def test_a_job_is_not_executed_again_after_its_deadline():
    made = scheduler()
    late, good = job(timeout=1.0), job(timeout=9.0)
    add(made, late, good)
    made.fail(made.next_batch(0.0).batch, BROKEN, 0.0, 0.1)
    decision = made.next_batch(2.0)
    assert [outcome.job for outcome in decision.dropped] == [late]
    assert decision.dropped[0].executed
    assert ids(decision.batch) == [good.id]


# Models


def test_jobs_for_a_model_that_is_not_there_may_go_elsewhere():
    assert refusal(Scheduler(), job()).kind is Kind.UNAVAILABLE


def test_a_removed_model_hands_back_what_waits_and_answers_what_executes():
    made = scheduler()
    (running,) = add(made, *[job()])
    batch = made.next_batch(0.0).batch
    waiting = job()
    add(made, waiting)
    assert made.remove_model(KEY) == [waiting]
    assert made.pending(KEY) == 1
    assert [outcome.job.id for outcome in settle(made, batch, 0.0)] == [running]
    assert made.pending(KEY) == 0


def test_a_new_policy_holds_for_jobs_that_come_later():
    made = scheduler()
    old = add(made, *[job() for _ in range(3)])
    made.add_model(KEY, ONE)
    new = add(made, job(), job())
    assert ids(made.next_batch(0.0).batch) == old
    assert ids(made.next_batch(0.0).batch) == new[:1]


def test_the_load_is_what_waits_and_what_executes():
    made = scheduler(seconds_a_row=0.01)
    add(made, *[job() for _ in range(16)])
    assert made.work(0.0) == pytest.approx(0.16)
    batch = made.next_batch(0.0).batch
    assert made.work(0.03) == pytest.approx(0.13)
    settle(made, batch, 0.0, 0.08)
    assert made.work(0.08) == pytest.approx(0.08)
