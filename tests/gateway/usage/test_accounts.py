"""What is counted reaches the store, and what others have used of budgets comes back."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import URL

from gateway.records import Records
from gateway.store.budgets import BudgetRecords
from gateway.usage import accounts as module
from gateway.usage.accounts import Accounts
from policies.limits.allowance import LimitId
from policies.limits.calendar import period
from policies.limits.elsewhere import Elsewhere
from protos.timeline import Timeline

ROWS = LimitId("fraud", "tenant/rows/month", 0)


async def wait_for(condition) -> None:
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_INTERVAL", 0.01)
    monkeypatch.setattr(module, "READ_INTERVAL", 0.02)


def used(elsewhere: Elsewhere) -> float:
    return elsewhere.used(ROWS, period("month", time.time()).name, "acme")


async def test_what_one_process_used_of_a_budget_others_and_its_successor_know(
    tmp_path: Path,
) -> None:
    url = URL.create("sqlite", database=str(tmp_path / "records.db"))
    first, second, successor = Elsewhere(), Elsewhere(), Elsewhere()
    records, others = Records(url), Records(url)
    one = Accounts(records, "gateway/0", first, [])
    two = Accounts(others, "gateway/1", second, [])
    await one.start()
    await two.start()
    one.spending.add(ROWS, "month", "acme", 5.0, time.monotonic())
    one.usage.add("acme", "m", Timeline(0.0, rows=3))
    await wait_for(lambda: used(first) == used(second) == 5.0)
    month = period("month", time.time()).name
    assert (first.by_itself(ROWS, month, "acme"), first.by_others(ROWS, month, "acme")) == (
        5.0,
        0.0,
    )
    one.spending.add(ROWS, "month", "acme", 1.0, time.monotonic())
    await one.close()
    await asyncio.to_thread(records.close, 10.0)
    await two.close()

    again = Accounts(others, "gateway/0", successor, [])
    await again.start()
    assert used(successor) == 6.0
    await again.close()
    (usage,) = others.store().usage.sum(since="2000-01-01", until="3000-01-01", by=("tenant",))
    assert (usage.tenant, usage.requests, usage.rows) == ("acme", 1, 3)
    await asyncio.to_thread(others.close, 10.0)


async def test_however_much_was_counted_all_of_it_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_A_TIME", 3)
    records = Records(URL.create("sqlite", database=str(tmp_path / "records.db")))
    accounts = Accounts(records, "gateway/0", Elsewhere(), [])
    await accounts.start()
    for number in range(20):
        accounts.usage.add(f"tenant {number}", "m", Timeline(0.0))
    await wait_for(lambda: accounts.written.written >= 20)
    for number in range(10):
        accounts.usage.add(f"tenant {number}", "m", Timeline(0.0))
    await accounts.close()
    await asyncio.to_thread(records.close, 10.0)
    found = Records(records._url).store().usage.sum(since="2000", until="3000", by=("tenant",))
    assert sum(each.requests for each in found) == 30


async def test_a_store_that_doesnt_answer_a_question_is_still_told_what_was_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    records = Records(URL.create("sqlite", database=str(tmp_path / "records.db")))
    answered = threading.Event()
    monkeypatch.setattr(BudgetRecords, "read", lambda *_: (answered.wait(30.0), ({}, {}))[1])
    accounts = Accounts(records, "gateway/0", Elsewhere(), [])
    try:
        await accounts.start()
        accounts.usage.add("acme", "m", Timeline(0.0))
        await wait_for(lambda: accounts.written.written == 1)
    finally:
        answered.set()
        await accounts.close()
        await asyncio.to_thread(records.close, 10.0)


async def test_without_a_store_a_gateway_starts_and_budgets_begin_with_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    records = Records(URL.create("sqlite", database=str(tmp_path / "file" / "records.db")))
    elsewhere = Elsewhere()
    accounts = Accounts(records, "gateway/0", elsewhere, [])
    await accounts.start()
    await wait_for(lambda: "what was used of budgets can't be read" in caplog.text)
    assert used(elsewhere) == 0.0
    await accounts.close()
    await asyncio.to_thread(records.close, 0.1)
