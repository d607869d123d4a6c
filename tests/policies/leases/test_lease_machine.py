"""Processes that share a limit, beside what the limit promises, whatever befalls them.

The same histories are told to the ledger in Python and to the one in Redis, which must agree.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from policies.leases.ledger import Ledger
from policies.leases.lessee import Batch, Lessee
from policies.leases.periods import month_starts
from policies.leases.script import answer, arguments, script
from policies.leases.terms import LEASE_PART, LEASE_SECONDS, Answer, Ask, Terms, terms_of
from policies.limits.allowance import ASK, Allowance
from tests.gateway.state.redis_server import RedisServer
from tests.many_times import LIMIT as SECONDS
from tests.many_times import bounded
from tests.policies.leases.processes import KEY, NOON
from tests.policies.leases.simulated_holders import LIMIT, limit

# A bit more than holders take, and a binary fraction, so that both ledgers see the same instants.
TURN = 0.125  # seconds
TOLD = script("local now = tonumber(ARGV[2])")
RATES = (
    {"requests": "20/s", "burst": 10},
    {"requests": "2/s", "burst": 4},
    {"requests": "500/s", "burst": 3},
    {"rows": "40/s", "burst": 40},
)
SETTLED = (
    {"tokens": "100/s", "burst": 300},
    {"tokens": "5/s", "burst": 40},
)
LIMITS = (
    *RATES,
    *SETTLED,
    {"budget": {"requests": 30, "every": "day"}},
    {"budget": {"tokens": 500, "every": "month"}},
    {"concurrency": 1},
    {"concurrency": 7},
)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Redis[bytes]"]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        client = Redis(port=server.port)
        yield client
        client.close()


@dataclass
class UnderWay:
    taken: float
    at: float


@dataclass
class Holder:
    lessee: Lessee
    allowance: Allowance
    under_way: list[UnderWay] = field(default_factory=list)


class Sharing(RuleBasedStateMachine):
    """Up to three processes; `store` is a Redis that is asked the same, if there is one."""

    def __init__(self, store: "Redis[bytes] | None" = None) -> None:
        super().__init__()
        self.store = store
        self.holders: list[Holder] = []

    @initialize(written=st.sampled_from(LIMITS), number=st.integers(1, 3))
    def begin(self, written, number) -> None:
        if self.store is not None:
            self.store.flushall()
        self.of = limit(**written)
        self.terms: Terms = terms_of(self.of)
        self.settles = "requests" not in written and "rows" not in written
        self.ledger = Ledger()
        self.now = 1000.0
        self.starts = self.losses = 0
        self.counted: list[tuple[float, float]] = []  # when, and how much, of what is for good
        self.holders = [self._start(number) for _ in range(number)]

    def _start(self, holders: int) -> Holder:
        self.starts += 1
        lessee = Lessee(f"holder-{self.starts}", holders, lambda: None)
        return Holder(lessee, lessee(LIMIT, self.of))

    @property
    def wall(self) -> float:
        return NOON + self.now - 1000.0

    @rule(
        who=st.integers(0, 2),
        amount=st.sampled_from([1.0, 1.0, 3.0, 25.0]),
        times=st.sampled_from([1, 2, 20]),
    )
    def request(self, who, amount, times) -> None:
        if self.terms.kind == "slots" or self.of.requests is not None:
            amount = 1.0
        holder = self.holders[who % len(self.holders)]
        for _ in range(times):
            self._request(holder, amount)

    def _request(self, holder: Holder, amount: float) -> bool:
        """Whether it was admitted; asks as `limits/filter.py` does."""
        allowance = holder.allowance
        wait = allowance.wait(KEY, amount, self.now)
        if wait == ASK:
            lease = allowance._leases[KEY]
            lease.need(amount)
            holder.lessee.hurry(lease)
            self._speak(holder, all_=False)
            wait = allowance.wait(KEY, amount, self.now)
        assert wait == ASK or wait >= 0.0
        if wait != 0.0:
            return False
        left = allowance.take(KEY, amount, self.now)
        assert left <= self.terms.size
        if self.settles:
            holder.under_way.append(UnderWay(amount, self.now))
        else:
            self.counted.append((self.now, amount))
        return True

    @precondition(lambda self: any(holder.under_way for holder in self.holders))
    @rule(data=st.data(), part=st.sampled_from([0.0, 0.25, 1.0]))
    def settle(self, data, part) -> None:
        busy = [holder for holder in self.holders if holder.under_way]
        holder = data.draw(st.sampled_from(busy))
        ended = holder.under_way.pop(data.draw(st.integers(0, len(holder.under_way) - 1)))
        self._settle(holder, ended, part)

    def _settle(self, holder: Holder, ended: UnderWay, part: float) -> None:
        used = 0.0 if self.terms.kind == "slots" else ended.taken * part
        holder.allowance.settle(KEY, ended.taken, used, ended.at, self.now)
        if used:
            self.counted.append((self.now, used))

    @rule(turns=st.sampled_from([1, 2, 7, 50]))
    def time_passes(self, turns) -> None:
        for _ in range(turns):
            self.now += TURN
            for holder in self.holders:
                self._speak(holder)

    @rule(who=st.integers(0, 2), heard=st.booleans())
    def an_exchange_is_lost(self, who, heard) -> None:
        """On its way there, or on its way back."""
        self._speak(self.holders[who % len(self.holders)], lost=True, heard=heard)

    @rule(who=st.integers(0, 2))
    def a_process_dies_and_another_takes_its_place(self, who) -> None:
        place = who % len(self.holders)
        dead = self.holders[place]
        # What it had under way may have been used; nobody will tell.
        if self.terms.kind != "slots":
            self.counted.extend((self.now, each.taken) for each in dead.under_way)
        self.holders[place] = self._start(len(self.holders))

    def _speak(
        self, holder: Holder, *, all_: bool = True, lost: bool = False, heard: bool = False
    ) -> None:
        lessee = holder.lessee
        for batch in lessee.due(self.now, self.wall, all_=all_) or [Batch([], [], [])]:
            if lost:
                self.losses += 1
                if heard:
                    self._exchange(lessee.holder, batch.asks)
                lessee.unanswered(batch, self.now, self.wall)
            else:
                found = self._exchange(lessee.holder, batch.asks)
                lessee.answered(batch, found, self.now)

    def _exchange(self, holder: str, asks: list[Ask]) -> Answer:
        expected = self.ledger.exchange(holder, asks, self.now, self.wall)
        if self.store is not None:
            # One clock for both: Unix time, which the script has for everything.
            written = arguments("p:", holder, month_starts(self.wall), asks)
            found = answer(self.store.eval(TOLD, *written, self.wall), len(asks))
            assert found.holders == expected.holders
            for mine, theirs in zip(found.grants, expected.grants, strict=True):
                assert tuple(mine) == pytest.approx(tuple(theirs), rel=1e-6, abs=1e-6)
        return expected

    @invariant()
    def no_more_is_admitted_than_is_promised(self) -> None:
        if not self.holders or not self.counted:
            return
        size, rate = self.terms.size, self.terms.rate
        lease = max(1.0, rate * LEASE_SECONDS) if rate else size * LEASE_PART
        lost = self.losses * lease + (size if self.losses else 0.0)
        begun, total = self.counted[0][0], 0.0
        # In each stretch of time that ends now, not only since the beginning.
        for when, amount in reversed(self.counted):
            total += amount
            seconds = self.now - (when if rate else begun)
            assert total <= size + rate * seconds + self.starts * lease + lost + 1.0

    @invariant()
    def no_more_is_under_way_than_there_are_slots(self) -> None:
        if not self.holders or self.terms.kind != "slots" or self.losses:
            return
        assert sum(len(holder.under_way) for holder in self.holders) <= self.terms.size

    def teardown(self) -> None:
        """When all is quiet again one process alone gets all there is: nothing has leaked."""
        if not self.holders:
            return
        for holder in self.holders:
            while holder.under_way:
                self._settle(holder, holder.under_way.pop(), 0.0)
        size, rate = self.terms.size, self.terms.rate
        # Debts are two buckets at most, and who is gone is forgotten after five seconds.
        for _ in range(int((3 * size / rate if rate else 0.0) + 7.0)):
            self.now += 1.0
            for holder in self.holders:
                self._speak(holder)
                self._speak(holder)
        alone = self.holders[0]
        used = 0.0 if rate or self.terms.kind == "slots" else sum(n for _, n in self.counted)
        admitted = 0
        for _ in range(int(size) + 1):
            admitted += self._request(alone, 1.0)
        if self.terms.kind in ("day", "month"):
            # What died with a process counts as used; what was told twice does, too.
            lost = self.starts > len(self.holders) or self.losses > 0
            assert admitted <= size - used + size * LEASE_PART * self.starts + 1.0 or lost
            assert admitted >= int(size - used) - size * LEASE_PART * self.starts - 1.0 or lost
        else:
            assert admitted >= int(size)


TestSharing = Sharing.TestCase
TestSharing.settings = bounded(35, 30)
TestSharing.pytestmark = [pytest.mark.timeout(SECONDS)]


@pytest.mark.timeout(SECONDS)
def test_the_ledger_in_redis_answers_the_same(redis: "Redis[bytes]") -> None:
    run_state_machine_as_test(lambda: Sharing(redis), settings=bounded(8, 25))
