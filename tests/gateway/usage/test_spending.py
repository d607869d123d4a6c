"""What a process has used of budgets."""

import pytest

from gateway.store.budgets import Spent
from gateway.usage import spending as module
from gateway.usage.spending import Spending
from policies.limits.allowance import LimitId

DAY = 86_400.0
ROWS, TOKENS = LimitId("fraud", "tenant/rows/day", 0), LimitId("fraud", "tenant/tokens/month", 0)


def as_it_is(limit_id: LimitId, key: str) -> str:
    return key


class Time:
    def __init__(self) -> None:
        self.now = 500.0

    def clock(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now - 500.0 + DAY * 20_000 + 100.0  # 2024-10-04


def test_what_was_used_is_told_in_all_where_it_has_changed() -> None:
    time = Time()
    spending = Spending(time.clock, time.wall, as_it_is)
    spending.add(ROWS, "day", "a", 2.0, 500.0)
    spending.add(ROWS, "day", "b", 1.0, 500.0)
    spending.add(TOKENS, "month", "a", 7.0, 500.0)
    ends, month = DAY * 20_001, DAY * 20_028
    assert sorted(each for _, each in spending.changed(9)) == [
        Spent("fraud/tenant/rows/day/0", "2024-10-04", "a", 2.0, ends),
        Spent("fraud/tenant/rows/day/0", "2024-10-04", "b", 1.0, ends),
        Spent("fraud/tenant/tokens/month/0", "2024-10", "a", 7.0, month),
    ]
    assert spending.changed(9) == []
    spending.add(ROWS, "day", "a", 2.0, 500.0)
    assert [each.used for _, each in spending.changed(9)] == [4.0]


def test_it_belongs_to_the_period_in_which_the_request_was_admitted() -> None:
    time = Time()
    spending = Spending(time.clock, time.wall, as_it_is)
    time.now += DAY
    spending.add(ROWS, "day", "a", 1.0, 500.0)
    spending.add(ROWS, "day", "a", 1.0, time.now)
    assert sorted(each.period for _, each in spending.changed(9)) == ["2024-10-04", "2024-10-05"]


def test_no_number_of_keys_grows_it_and_what_is_counted_adds_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEYS", 20)
    time = Time()
    spending = Spending(time.clock, time.wall, as_it_is)
    told: dict[tuple[int, str], float] = {}
    for number in range(300):
        spending.add(ROWS, "day", f"key {number % 50}", 1.0, 500.0)
        if number % 10 == 9:
            told |= {(count, each.key): each.used for count, each in spending.changed(100)}
        assert len(spending) <= 20
    assert sum(told.values()) == 300.0
    assert spending.dropped == 0


def test_while_nothing_is_taken_off_what_there_is_no_room_for_is_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEYS", 20)
    time = Time()
    spending = Spending(time.clock, time.wall, as_it_is)
    for number in range(100):
        spending.add(ROWS, "day", f"key {number % 50}", 1.0, 500.0)
    assert len(spending) == 20
    assert spending.dropped == 60
    assert sum(each.used for _, each in spending.changed(100)) == 40.0
    spending.add(ROWS, "day", "key 49", 1.0, 500.0)
    assert [each.key for _, each in spending.changed(100)] == ["key 49"]


def test_keys_are_called_what_records_may_know() -> None:
    time = Time()
    spending = Spending(time.clock, time.wall, lambda limit_id, key: f"{limit_id.per} of somebody")
    spending.add(LimitId("fraud", "key/rows/day", 0), "day", "issuer\nann@example.com", 1.0, 500.0)
    ((_, spent),) = spending.changed(9)
    assert spent.key == "key of somebody"
