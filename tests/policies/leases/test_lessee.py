"""One process's allowances over a ledger: what is known here, what is asked, what is told."""

import asyncio
import json
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.leases.leased import LOST_WAIT
from policies.leases.ledger import Ledger
from policies.leases.lessee import Batch, Lessee
from policies.leases.terms import LEASE_SECONDS, OUT_SECONDS
from policies.limits.allowance import ASK, NEVER, Allowance, LimitId
from policies.limits.elsewhere import Elsewhere
from protos.route.policies import Limit

NOON = 1_700_000_000.0 // 86400 * 86400 + 43200.0
KEY = "acme"


def limit(**written: object) -> Limit:
    return Limit.model_validate_json(json.dumps({"per": "tenant", **written}))


class Machine:
    """Processes with one ledger; time passes when it is told to."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.now = 100.0
        self.wall = NOON
        self.reachable = True

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


class Process:
    def __init__(
        self, machine: Machine, name: str, holders: int = 1, elsewhere: Elsewhere | None = None
    ) -> None:
        self.machine = machine
        self.lessee = Lessee(name, holders, lambda: None, elsewhere)

    def of(self, limit: Limit, what: str = "tenant/requests") -> Allowance:
        return self.lessee(LimitId("fraud", what, 0), limit)

    def exchange(self, *, all_: bool = True) -> int:
        """Says what there is to say; how much that was."""
        machine, lessee = self.machine, self.lessee
        told = 0
        beat = Batch([], [], [])
        for batch in lessee.due(machine.now, machine.wall, all_=all_) or [beat]:
            told += len(batch.asks)
            if machine.reachable:
                answer = machine.ledger.exchange(
                    lessee.holder, batch.asks, machine.now, machine.wall
                )
                lessee.answered(batch, answer, machine.now)
            else:
                lessee.unanswered(batch, machine.now, machine.wall)
        return told

    def admit(self, allowance: Allowance, amount: float = 1.0, key: str = KEY) -> bool:
        """Whether the request is admitted, as the filter does it."""
        now = self.machine.now
        wait = allowance.wait(key, amount, now)
        if wait == ASK:
            asyncio.run(self._ask(allowance, key, amount))
            wait = allowance.wait(key, amount, now)
        if wait == 0.0:
            allowance.take(key, amount, now)
        return wait == 0.0

    async def _ask(self, allowance: Allowance, key: str, amount: float) -> None:
        asking = asyncio.create_task(allowance.ask(key, amount))
        await asyncio.sleep(0)
        assert self.lessee.urgent
        self.exchange(all_=False)
        await asking


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_the_first_requests_wait_for_nobody(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(requests="100/s"))

    assert [allowance.wait(KEY, 1.0, machine.now) for _ in range(3)] == [0.0] * 3
    for _ in range(10):  # a lease's worth on credit
        assert allowance.wait(KEY, 1.0, machine.now) == 0.0
        allowance.take(KEY, 1.0, machine.now)
    assert allowance.wait(KEY, 1.0, machine.now) == ASK


def test_credit_is_divided_by_those_who_have_it(machine: Machine) -> None:
    one = Process(machine, "one", holders=5)
    allowance = one.of(limit(requests="100/s"))

    taken = 0
    while allowance.wait(KEY, 1.0, machine.now) == 0.0:
        allowance.take(KEY, 1.0, machine.now)
        taken += 1
    assert taken == 2


def test_what_is_left_of_all_of_it_is_told(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(requests="1/h", burst=50)
    first, second = one.of(of), two.of(of)
    for _ in range(20):
        assert one.admit(first)

    assert two.admit(second)
    assert second.left(KEY, machine.now) == pytest.approx(29.0)


def test_a_refusal_is_remembered_until_its_reset(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(requests="6/1m", burst=1))
    assert one.admit(allowance)
    assert not one.admit(allowance)

    assert allowance.wait(KEY, 1.0, machine.now) == pytest.approx(10.0)
    machine.sleep(9.0)
    assert allowance.wait(KEY, 1.0, machine.now) == pytest.approx(1.0)
    machine.sleep(1.1)
    assert one.admit(allowance)


def test_keys_are_apart(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(requests="6/1m", burst=1))

    assert one.admit(allowance, key="acme")
    assert one.admit(allowance, key="bank")
    assert not one.admit(allowance, key="acme")


def test_what_was_reserved_is_held_until_it_is_settled(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(tokens="10/s", burst=1000)
    first, second = one.of(of), two.of(of)
    assert one.admit(first, 1000.0)
    begun = machine.now

    for _ in range(100):  # time fills up nothing, the bucket would be full but for what is held
        machine.sleep(1.0)
        one.exchange()
    assert not two.admit(second, 500.0)
    first.settle(KEY, 1000.0, 100.0, begun, machine.now)
    one.exchange()
    machine.sleep(1.1)  # what may have come back is asked for again
    assert two.admit(second, 900.0)


def test_what_was_used_beyond_what_was_taken_is_a_debt(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(tokens="10/s", burst=100))
    assert one.admit(allowance, 50.0)
    allowance.settle(KEY, 50.0, 250.0, machine.now, machine.now)
    one.exchange()

    assert allowance.left(KEY, machine.now) == pytest.approx(-100.0)  # a bucket's at most
    assert not one.admit(allowance, 1.0)


def test_a_request_for_more_than_a_bucket_has_waits_for_a_full_one(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(tokens="10/s", burst=100))

    assert one.admit(allowance, 300.0)
    assert not one.admit(allowance, 1.0)


def test_a_budget_is_shared_to_its_last_request(machine: Machine) -> None:
    processes = [Process(machine, name) for name in ("one", "two", "three")]
    of = limit(budget={"every": "day", "requests": 100})
    allowances = [each.of(of) for each in processes]

    admitted = 0
    for turn in range(200):
        process, allowance = processes[turn % 3], allowances[turn % 3]
        admitted += process.admit(allowance)
        machine.sleep(0.01)
        process.exchange()
    assert admitted == 100
    assert allowances[0].wait(KEY, 1.0, machine.now) > 3600.0


def test_a_budget_of_device_seconds_passes_while_something_is_left(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(budget={"every": "day", "deviceSeconds": 10}))
    for _ in range(5):
        assert one.admit(allowance, 0.0)
        allowance.settle(KEY, 0.0, 2.5, machine.now, machine.now)
        machine.sleep(LEASE_SECONDS)
        one.exchange()
        if allowance.left(KEY, machine.now) <= 0:
            break
    assert allowance.left(KEY, machine.now) == pytest.approx(0.0)
    assert not one.admit(allowance, 0.0)


def test_a_new_day_has_a_new_budget(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(budget={"every": "day", "requests": 1}))
    assert one.admit(allowance)
    begun = machine.now
    assert not one.admit(allowance)
    machine.sleep(12 * 3600.0)

    assert one.admit(allowance)
    # What was taken yesterday isn't given back today.
    allowance.settle(KEY, 1.0, 0.0, begun, machine.now)
    assert not one.admit(allowance)


def test_more_than_a_budget_has_is_never_there(machine: Machine) -> None:
    one = Process(machine, "one")
    budget = one.of(limit(budget={"every": "day", "rows": 10}))

    assert budget.wait(KEY, 11.0, machine.now) == NEVER == inf


def test_what_was_used_before_a_ledger_began_counts(machine: Machine) -> None:
    elsewhere = Elsewhere()
    day = "2023-11-14"
    place = (str(LimitId("fraud", "tenant/requests/day", 0)), day, KEY)
    elsewhere.learn({place: 3.0}, {place: 5.0})  # what this process told counts as well
    one = Process(machine, "one", elsewhere=elsewhere)
    of = limit(budget={"every": "day", "requests": 10})
    allowance = one.of(of, "tenant/requests/day")

    assert [one.admit(allowance) for _ in range(4)] == [True, True, False, False]


def test_a_raised_budget_keeps_what_was_used(machine: Machine) -> None:
    one = Process(machine, "one")
    before = one.of(limit(budget={"every": "day", "requests": 3}))
    assert [one.admit(before) for _ in range(4)] == [True, True, True, False]
    machine.sleep(1.1)

    after = one.of(limit(budget={"every": "day", "requests": 5}))
    assert [one.admit(after) for _ in range(3)] == [True, True, False]


def test_slots_are_shared_and_come_back(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(concurrency=3)
    first, second = one.of(of), two.of(of)
    assert [one.admit(first) for _ in range(2)] == [True, True]
    assert [two.admit(second) for _ in range(2)] == [True, False]

    first.settle(KEY, 1.0, 0.0, machine.now, machine.now)
    for _ in range(2):  # a slot is kept for one exchange, should it be needed again
        machine.sleep(LEASE_SECONDS)
        one.exchange()
    assert two.admit(second)


def test_slots_of_a_process_that_died_are_free_again(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(concurrency=2)
    first, second = one.of(of), two.of(of)
    assert one.admit(first)
    assert one.admit(first)
    assert not two.admit(second)
    machine.sleep(OUT_SECONDS + 1.0)

    assert two.admit(second)


def test_slots_that_are_used_for_long_stay_taken(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(concurrency=2)
    first, second = one.of(of), two.of(of)
    assert one.admit(first)
    assert one.admit(first)
    for _ in range(100):
        machine.sleep(LEASE_SECONDS)
        one.exchange()

    assert not two.admit(second)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), max_size=60))
def test_slots_never_leak_nor_are_there_more(moves: list[tuple[int, bool, bool]]) -> None:
    machine = Machine()
    processes = [Process(machine, f"{i}") for i in range(3)]
    allowances = [each.of(limit(concurrency=4)) for each in processes]
    under_way = [0, 0, 0]
    for which, begins, passes in moves:
        if begins:
            under_way[which] += processes[which].admit(allowances[which])
        elif under_way[which]:
            allowances[which].settle(KEY, 1.0, 0.0, machine.now, machine.now)
            under_way[which] -= 1
        assert sum(under_way) <= 4
        if passes:
            machine.sleep(LEASE_SECONDS)
            for process in processes:
                process.exchange()
    for which in range(3):
        for _ in range(under_way[which]):
            allowances[which].settle(KEY, 1.0, 0.0, machine.now, machine.now)
    for _ in range(2):
        machine.sleep(LEASE_SECONDS + 0.01)
        for process in processes:
            process.exchange()
    assert [processes[0].admit(allowances[0]) for _ in range(5)] == [True] * 4 + [False]


def test_without_a_ledger_a_process_admits_its_share_of_what_was_left(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(requests="1/h", burst=100)
    first, second = one.of(of), two.of(of)
    for process, allowance in ((one, first), (two, second)):
        for _ in range(20):
            assert process.admit(allowance)
        machine.sleep(LEASE_SECONDS)
        one.exchange()
        two.exchange()
    machine.reachable = False

    # As far as each knew: the first was told before the second took anything.
    assert sum(one.admit(first) for _ in range(100)) == 40
    assert sum(two.admit(second) for _ in range(100)) == 30
    assert one.lessee.lost
    # A key that nobody has asked for yet has a share of all of it.
    assert sum(one.admit(first, key="bank") for _ in range(100)) == 50


def test_what_was_used_without_a_ledger_is_told_to_it_later(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(budget={"every": "day", "requests": 100})
    first, second = one.of(of), two.of(of)
    assert one.admit(first)
    assert two.admit(second)
    machine.reachable = False
    machine.sleep(LEASE_SECONDS)
    assert sum(one.admit(first) for _ in range(30)) == 30
    machine.reachable = True
    for _ in range(3):
        machine.sleep(LEASE_SECONDS)
        one.exchange()

    assert not one.lessee.lost
    assert sum(two.admit(second) for _ in range(100)) == 68


def test_without_a_ledger_limits_refuse_that_say_so(machine: Machine) -> None:
    one = Process(machine, "one")
    strict = one.of(limit(requests="100/s", onStateLost="refuse"))
    assert one.admit(strict)
    machine.reachable = False
    machine.sleep(LEASE_SECONDS)
    one.exchange()
    assert strict.wait(KEY, 1.0, machine.now) == LOST_WAIT

    machine.reachable = True
    one.lessee.hurry(strict._leases[KEY])  # type: ignore[attr-defined]
    strict._leases[KEY].need(1.0)  # type: ignore[attr-defined]
    one.exchange()
    assert one.admit(strict)


def test_over_admission_is_counted_by_limit(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(requests="100/s", burst=10)
    first, second = one.of(of), two.of(of)
    for process, allowance in ((one, first), (two, second)):  # each believes it is alone
        while allowance.wait(KEY, 1.0, machine.now) == 0.0:
            allowance.take(KEY, 1.0, machine.now)
        process.exchange()
    assert two.admit(second) is False or two.lessee.over_admitted == {}
    third = Process(machine, "three")
    greedy = third.of(of)
    for _ in range(5):
        greedy.take(KEY, 1.0, machine.now)
    third.exchange()

    assert third.lessee.over_admitted == {LimitId("fraud", "tenant/requests", 0): 5.0}


def test_leases_that_are_not_used_are_not_looked_at(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(requests="100/s"))
    for key in range(50):
        assert one.admit(allowance, key=f"tenant-{key}")
    for _ in range(30):
        machine.sleep(LEASE_SECONDS)
        one.exchange()
    assert one.exchange() == 0
    assert repr(one.lessee) == "<Lessee one: 0 leases>"
    machine.sleep(10.0)
    one.exchange()
    assert allowance.idle(machine.now)


def test_large_batches_are_told_in_pieces(machine: Machine) -> None:
    one = Process(machine, "one")
    allowance = one.of(limit(requests="100/s"))
    for key in range(600):
        allowance.take(f"tenant-{key}", 1.0, machine.now)

    batches = one.lessee.due(machine.now, machine.wall, all_=True)

    assert [len(each.asks) for each in batches] == [256, 256, 88]


def test_a_process_that_ends_gives_everything_back(machine: Machine) -> None:
    one, two = Process(machine, "one"), Process(machine, "two")
    of = limit(requests="1000/1h", burst=1000)
    first, second = one.of(of), two.of(of)
    for _ in range(100):
        assert one.admit(first)
    one.exchange()
    one.lessee.retire()
    machine.sleep(LEASE_SECONDS)
    one.exchange()

    assert sum(two.admit(second) for _ in range(1000)) == 900
