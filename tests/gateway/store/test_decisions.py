from dataclasses import replace

import pytest
from sqlalchemy import update

from gateway.store import decisions as module
from gateway.store.engine import Store
from gateway.store.schema import decisions
from routing.decisions import Decision

DECISION = Decision(
    at=1000.25,
    route="fraud",
    arm="canary",
    revision="0123456789abcdef",
    model="fraud",
    version="4",
    served_model="fraud",
    served_version="4",
    tenant="acme",
    weight=8.0,
    whole=True,
    user=bytes(range(20)),
    key="jwt.sub",
    missing="",
    attributes={"header x-beta": {"*": True, "yes": False}},
    rows=16,
    compute_seconds=0.0125,
    latency=0.02,
    code=200,
)


def test_a_decision_is_read_as_it_was_written(store: Store) -> None:
    other = replace(DECISION, at=1001.0, whole=False, attributes={}, arm="", code=429)
    store.decisions.append([DECISION, other])
    assert list(store.decisions.read(since=0.0)) == [DECISION, other]


def test_decisions_are_read_in_the_order_of_time_within_the_bounds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 4)
    times = [5.0, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0, 2.0, 4.0]
    store.decisions.append([replace(DECISION, at=at) for at in times])
    assert [each.at for each in store.decisions.read(since=2.0, until=5.0)] == sorted(times)[1:-1]


def test_old_decisions_are_forgotten(store: Store) -> None:
    store.decisions.append([replace(DECISION, at=float(at)) for at in range(10)])
    store.tidy(now=16.0, keep=10.0)
    assert [each.at for each in store.decisions.read(since=0.0)] == [6.0, 7.0, 8.0, 9.0]


def test_no_decisions_are_nothing(store: Store) -> None:
    store.decisions.append([])
    assert list(store.decisions.read(since=0.0)) == []


@pytest.mark.parametrize("content", ["", "{", "5", "[1]", '{"header a": 5}', '{"header a": {}}'])
def test_rows_that_somebody_changed_are_left_out_and_told(
    store: Store, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.decisions.append([DECISION, replace(DECISION, at=1001.0)])
    with store._database.begin() as connection:
        changed = update(decisions).where(decisions.c.at == 1001.0).values(attributes=content)
        connection.execute(changed)
    assert list(store.decisions.read(since=0.0)) == [DECISION]
    assert "1 decisions in the record store can't be read" in caplog.text
