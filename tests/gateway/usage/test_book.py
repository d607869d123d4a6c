"""What a process counts of tenants' use."""

import pytest

from gateway.usage import book as module
from gateway.usage.book import UsageBook
from gateway.usage.value import Usage
from protos.timeline import Timeline, Used

MIDNIGHT = 86_400.0 * 20_000  # 2024-10-04


class Wall:
    def __init__(self) -> None:
        self.now = MIDNIGHT + 100.0

    def __call__(self) -> float:
        return self.now


def timeline(rows: int = 1, device: float = 0.0, prompt: int = 0, completion: int = 0) -> Timeline:
    return Timeline(0.0, rows=rows, used=Used(device, prompt, completion))


def requests(found: list[tuple[int, Usage]]) -> list[tuple[str, str, str, int]]:
    return [(each.day, each.tenant, each.model, each.requests) for _, each in found]


def test_everything_is_added_up_by_tenant_and_model() -> None:
    book = UsageBook(Wall())
    book.add("acme", "m", timeline(rows=3, device=0.5, prompt=10, completion=20))
    book.add("acme", "m", timeline(rows=1, device=0.25, prompt=1, completion=2))
    book.add("acme", "n", timeline())
    assert [each for _, each in book.changed(10)] == [
        Usage("2024-10-04", "acme", "m", 2, 4, 11, 22, 0.75),
        Usage("2024-10-04", "acme", "n", 1, 1, 0, 0, 0.0),
    ]


def test_only_what_has_changed_is_told_and_then_in_all() -> None:
    book = UsageBook(Wall())
    for tenant in ("a", "b"):
        book.add(tenant, "m", timeline())
    assert len(book.changed(10)) == 2
    assert book.changed(10) == []
    book.add("b", "m", timeline())
    assert requests(book.changed(10)) == [("2024-10-04", "b", "m", 2)]


def test_a_day_that_is_over_is_told_once_more() -> None:
    wall = Wall()
    book = UsageBook(wall)
    book.add("a", "m", timeline())
    wall.now += 86_400.0
    book.add("a", "m", timeline())
    book.add("a", "m", timeline())
    assert requests(book.changed(10)) == [
        ("2024-10-04", "a", "m", 1),
        ("2024-10-05", "a", "m", 2),
    ]
    assert book.changed(10) == []


def test_a_clock_that_is_put_back_begins_counts_that_add_up_with_the_others() -> None:
    wall = Wall()
    book = UsageBook(wall)
    for step in (0.0, 86_400.0, -86_400.0):
        wall.now += step
        book.add("a", "m", timeline())
    found = book.changed(10)
    assert requests(found) == [
        ("2024-10-04", "a", "m", 1),
        ("2024-10-05", "a", "m", 1),
        ("2024-10-04", "a", "m", 1),
    ]
    assert len({number for number, _ in found}) == 3


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_however_many_are_told_at_a_time_all_are(most: int) -> None:
    wall = Wall()
    book = UsageBook(wall)
    for _ in range(3):
        for tenant in ("a", "b", "c"):
            book.add(tenant, "m", timeline())
        wall.now += 86_400.0
    told: list[tuple[int, Usage]] = []
    while found := book.changed(most):
        assert len(found) <= most
        told += found
    assert len(set(requests(told))) == len(told) == 9


def test_tenants_beyond_a_number_are_counted_together_under_no_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAIRS", 5)
    book = UsageBook(Wall())
    for number in range(20):
        book.add("other" if number == 3 else f"tenant {number}", "m", timeline())
    found = requests(book.changed(100))
    assert len(found) == 6
    assert ("2024-10-04", "other", "m", 1) in found  # a tenant may be called so
    assert ("2024-10-04", "", "m", 15) in found


def test_metrics_name_the_tenants_that_are_to_be_shown_and_go_on_over_days() -> None:
    wall = Wall()
    book = UsageBook(wall, shown=["acme"])
    for tenant in ("acme", "a", "b"):
        book.add(tenant, "m", timeline(prompt=5))
    wall.now += 86_400.0
    book.add("acme", "m", timeline())
    shown = book.shown()
    assert {key: counts["requests"] for key, counts in shown.items()} == {
        ("acme", "m"): 2,
        ("other", "m"): 2,
    }
    assert shown["other", "m"]["prompt_tokens"] == 10
    assert book.shown() == shown


def test_what_is_told_takes_as_long_as_what_has_changed_and_not_as_all_there_is() -> None:
    book = UsageBook(Wall())
    for number in range(100):
        book.add(f"tenant {number}", "m", timeline())
    while book.changed(30):
        pass
    book.add("tenant 99", "m", timeline())
    assert list(book._today.changed) == [("tenant 99", "m")]
    assert len(book._totals) == 1
    assert requests(book.changed(30)) == [("2024-10-04", "tenant 99", "m", 2)]
