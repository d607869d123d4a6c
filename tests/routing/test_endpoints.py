"""The endpoint table: snapshots in, who serves what out; exchanges opened and closed along."""

import asyncio

import pytest

from protos import discovery_pb2 as pb
from protos.prefixes import NONE
from routing.endpoints import EndpointTable
from tests.routing.leased import FakeExchange, lease, snapshot


@pytest.fixture
async def table():
    table = EndpointTable(FakeExchange)
    yield table
    await table.close()


async def test_ready_versions_are_served_by_their_endpoints(table):
    table.apply(snapshot(lease("a"), lease("b"), lease("c", models=(("m", "2", pb.LOADING),))))
    assert [e.instance for e in table.serving("m", "1")] == ["a", "b"]
    assert table.serving("m", "2") == ()
    assert table.versions("m") == ("1", "2")
    assert table.versions("unknown") == ()


async def test_versions_ascend_by_number(table):
    table.apply(snapshot(lease(models=[("m", v, pb.READY) for v in ("10", "9", "beta", "2")])))
    assert table.versions("m") == ("2", "9", "10", "beta")


async def test_signatures_come_with_the_models(table):
    table.apply(snapshot(lease()))
    (endpoint,) = table.serving("m", "1")
    assert endpoint.signatures["m", "1"].inputs[0].shape == (-1, 4)


async def test_an_instance_keeps_its_exchange_over_beats_and_loses_it_with_its_epoch(table):
    table.apply(snapshot(lease()))
    (before,) = table.endpoints()
    table.apply(snapshot(lease(), revision=2))
    assert table.endpoints() == [before]
    table.apply(snapshot(lease(epoch=2), revision=3))
    (after,) = table.endpoints()
    assert after is not before
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert before.exchange.closed
    assert not after.exchange.closed


async def test_calls_in_flight_finish_before_an_endpoint_that_left_is_closed(table):
    table.apply(snapshot(lease()))
    (endpoint,) = table.endpoints()
    endpoint.exchange.in_flight = 1
    table.apply(snapshot(revision=2))
    await asyncio.sleep(0.1)
    assert not endpoint.exchange.closed
    endpoint.exchange.in_flight = 0
    await asyncio.sleep(0.1)
    assert endpoint.exchange.closed


async def test_calls_of_a_silent_endpoint_are_given_up_when_its_lease_is_over(table):
    table.apply(snapshot(lease()))
    (endpoint,) = table.endpoints()
    endpoint.exchange.in_flight = 1
    endpoint.exchange.silent = True
    table.apply(snapshot(revision=2))
    await asyncio.sleep(0.1)
    assert "silent" in endpoint.exchange.given_up
    assert endpoint.exchange.closed


async def test_one_that_drains_may_be_silent(table):
    table.apply(snapshot(lease(draining=True)))
    (endpoint,) = table.endpoints()
    endpoint.exchange.in_flight = 1
    endpoint.exchange.silent = True
    table.apply(snapshot(revision=2))
    await asyncio.sleep(0.1)
    assert not endpoint.exchange.closed
    endpoint.exchange.in_flight = 0


async def test_an_endpoint_that_left_gets_nothing_new_from_whoever_still_holds_it(table):
    table.apply(snapshot(lease()))
    (endpoint,) = table.endpoints()
    table.apply(snapshot(revision=2))
    assert endpoint.left
    assert not endpoint.usable


async def test_a_revision_is_what_all_that_serve_a_version_report(table):
    def told(*revisions):
        leases = [lease(name, number) for number, name in enumerate("abc"[: len(revisions)], 1)]
        for each, revision in zip(leases, revisions, strict=True):
            each.beat.models.models[0].revision = revision
        table.apply(snapshot(*leases))
        return table.revision_of("m", "1")

    assert told("x") == "x"
    table.apply(snapshot())  # all leave, as a model's revision doesn't change within one number
    assert told("x", "x", "x") == "x"
    table.apply(snapshot())
    assert told("x", "y") is None
    table.apply(snapshot())
    assert told("", "") is None
    assert table.revision_of("m", "2") is None


async def test_models_that_keep_prompts_are_known_where_several_endpoints_have_them(table):
    def leases(*instances):
        found = [lease(name, models=(("m", "1", pb.READY), ("chat", "1", pb.READY)))
                 for name in instances]  # fmt: skip
        for each in found:
            each.beat.models.models[1].openai = True
        return found

    table.apply(snapshot(*leases("a")))
    assert table.keeping == frozenset()
    table.apply(snapshot(*leases("a", "b"), revision=2))
    assert table.keeping == {("chat", "1")}


async def test_what_an_endpoint_has_kept_comes_with_its_beats(table):
    load = pb.Load(adapters=["m:legal"], adapter_seconds=0.5)
    table.apply(snapshot(lease(access_key="key", load=load)))
    (endpoint,) = table.endpoints()
    assert endpoint.kept.saves("m:legal", NONE) == 0.5
    table.apply(snapshot(lease(access_key="key"), revision=2))
    assert endpoint.kept.saves("m:legal", NONE) == 0.0
