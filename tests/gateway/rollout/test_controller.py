"""The controller over a real store: who leads, what is written, and what is in force when."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sqlalchemy.exc import OperationalError

from gateway.rollout.controller import LEAD, LEAD_SECONDS, LOOK_INTERVAL, Rollouts
from gateway.store.engine import Store, open_store
from protos.errors import Kind, PenstockError
from routing.rules.effect import Effect
from routing.shadow.record import Outcome, PairRecord, Side
from tests.gateway.rollout.rollout_site import Replica, Site
from tests.routing.rollout.made_routes import (
    ANALYSIS,
    CANARY,
    GOOD,
    HARM,
    MIRROR,
    NOTHING,
    PAUSE,
    drawn,
    route,
)

QUARTER = 900.0
STEPS = (CANARY, ANALYSIS, {"setWeight": 50}, ANALYSIS, PAUSE)
WHO = "ada@risk"


@pytest.fixture
def site(tmp_path: Path):
    store = open_store(f"sqlite:///{tmp_path}/records.db")
    yield Site(store)
    store.close()


async def test_a_route_with_a_rollout_begins_it_and_records_that_before_it_has_effect(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    replica = site.replica()
    await replica.look()
    assert replica.weight == 5.0
    assert site.audit() == ["begin"]
    assert replica.rollouts.leads


async def test_routes_without_rollouts_need_no_store():
    def store() -> Store:
        raise AssertionError("asked for the store")

    published: list[Mapping[str, Effect]] = []
    rollouts = Rollouts(store, dict, published.append, holder="a")
    await rollouts.look()
    assert (rollouts.failures, published) == (0, [])


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_good_candidate_completes_though_the_gateway_restarts_before_each_look(
    site: Site, restarts: bool
):
    site.routes = {"fraud": route(MIRROR, *STEPS)}
    replica = site.replica()
    await replica.look()
    site.store.pairs.append([compared(site) for _ in range(2_000)])
    weights = [replica.weight]
    for _ in range(12):
        if restarts:
            replica = site.replica()
        await replica.look(QUARTER / 2)
        weights.append(replica.weight)
        if site.state().weight:
            site.now += 1
            site.serve(GOOD)
        if site.state().status == "waiting":
            await replica.rollouts.resume("fraud", WHO)
    assert list(dict.fromkeys(weights)) == [0.0, 5.0, 50.0, 100.0]
    assert weights == sorted(weights)
    assert site.audit() == ["begin", *["step"] * 5, "wait", "complete"]


def compared(site: Site) -> PairRecord:
    state = site.state()
    return PairRecord(
        at=site.now,
        route=state.route,
        mirror="canary",
        arm="stable",
        model="fraud",
        version="4",
        primary_version="3",
        tenant="t",
        trace_id="",
        request_id="",
        kind="tensor",
        status="compared",
        primary=Side(0.01),
        candidate=Side(0.01),
        outcome=Outcome(True),
        rollout=state.id,
    )


async def test_harm_takes_all_traffic_on_every_replica(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    leader, follower = site.replica("a"), site.replica("b")
    for replica in (leader, follower):
        await replica.look()
    assert not follower.rollouts.leads
    assert follower.weight == 5.0
    site.now += 1
    site.serve(HARM)
    for replica in (leader, follower):
        await replica.look()
    assert leader.weight == follower.weight == 0.0
    assert site.state().status == "rolled_back"
    assert site.audit() == ["begin", "rollback"]


async def test_nothing_is_published_twice(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    replica = site.replica()
    for _ in range(5):
        await replica.look()
    assert len(replica.published) == 1


async def test_another_leads_when_the_leader_is_gone(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    first, second = site.replica("a"), site.replica("b")
    await first.look()
    await second.look(LEAD_SECONDS / 2)
    assert not second.rollouts.leads
    await second.look(LEAD_SECONDS)
    assert second.rollouts.leads
    site.serve(HARM)
    await second.look()
    assert second.weight == 0.0


class Interrupted:
    """A store at which something happens while the evidence is read."""

    def __init__(self, store: Store) -> None:
        self.then = lambda: None
        self.rollouts, self.leader, self.audit, self.pairs = (
            store.rollouts,
            store.leader,
            store.audit,
            store.pairs,
        )
        self.arms = SimpleNamespace(sum=self._sum)
        self._arms = store.arms

    def _sum(self, name: str, since: float, *, rollout: str):
        found = self._arms.sum(name, since, rollout=rollout)
        then, self.then = self.then, lambda: None
        then()
        return found


async def test_a_deposed_leader_writes_nothing(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    store = Interrupted(site.store)
    deposed, successor = site.replica("a", store), site.replica("b")
    await deposed.look()
    await deposed.look()
    site.now += 1
    site.serve(HARM)
    before = site.state()

    def takes_over() -> None:
        site.now += 2 * LEAD_SECONDS
        assert site.store.leader.hold(LEAD, "b", site.now, LEAD_SECONDS) is not None

    store.then = takes_over
    await deposed.look()
    assert site.state() == before
    assert deposed.weight == 5.0
    await successor.look()
    assert site.state().status == "rolled_back"
    assert site.audit().count("rollback") == 1


async def test_a_person_who_is_faster_than_the_leader_wins(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    store = Interrupted(site.store)
    replica, other = site.replica("a", store), site.replica("b")
    await replica.look()
    site.now += 1
    site.serve(HARM)
    store.then = lambda: asyncio.run(other.rollouts.abort("fraud", WHO))
    await replica.look()
    assert site.state().status == "aborted"
    assert replica.weight == 0.0
    assert site.audit() == ["begin", "abort"]


class Broken:
    """A store that fails while `down` is set."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.down = False

    def __getattr__(self, name: str) -> object:
        if self.down:
            raise OperationalError("SELECT", {}, Exception("no route to host"))
        return getattr(self.store, name)


async def test_without_its_store_what_is_in_force_stays_so(
    site: Site, caplog: pytest.LogCaptureFixture
):
    site.routes = {"fraud": route(*STEPS)}
    store = Broken(site.store)
    replica = site.replica("a", store)
    await replica.look()
    store.down = True
    with caplog.at_level(logging.INFO, "gateway.rollout.controller"):
        for _ in range(3):
            await replica.look(QUARTER)
        assert (replica.weight, len(replica.published)) == (5.0, 1)
        assert (replica.rollouts.failures, replica.rollouts.problem) == (3, "OperationalError")
        assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1
        for ask in (replica.rollouts.status(), replica.rollouts.abort("fraud", WHO)):
            with pytest.raises(PenstockError, match="the record store doesn't answer") as refused:
                await ask
            assert refused.value.kind is Kind.UNAVAILABLE
        store.down = False
        await replica.look()
    assert replica.rollouts.problem == ""
    assert "rollouts are looked at again" in caplog.text


async def test_one_routes_trouble_is_not_the_others(site: Site):
    site.routes = {"fraud": route(*STEPS), "faulty": route(*STEPS, name="faulty")}
    store = Interrupted(site.store)
    replica = site.replica("a", store)
    await replica.look()

    def fails() -> None:
        raise RuntimeError("of one route")

    store.then = fails  # the first whose evidence is read
    await replica.look()
    assert sorted(site.store.rollouts.get(name).step for name in site.routes) == [0, 1]
    assert replica.rollouts.failures == 1


async def test_a_publisher_that_fails_is_told_again(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    told: list[Mapping[str, Effect]] = []

    def publish(effects: Mapping[str, Effect]) -> None:
        told.append(effects)
        if len(told) == 1:
            raise RuntimeError("no workers")

    rollouts = Rollouts(lambda: site.store, lambda: site.routes, publish, holder="a")
    await rollouts.look()
    await rollouts.look()
    assert len(told) == 2
    assert rollouts.problem == ""


async def test_another_version_begins_anew_and_the_old_rollout_is_superseded(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    replica = site.replica()
    await replica.look()
    old = site.state()
    site.routes = {"fraud": route(MIRROR, *STEPS, version="5")}
    await replica.look()
    new = site.state()
    assert (new.id != old.id, new.version, replica.weight) == (True, old.version + 1, 0.0)
    assert site.audit() == ["begin", "supersede", "begin"]


async def seen(replica: Replica) -> tuple[int, int]:
    """Requests of the candidate and compared pairs, as the status has them."""
    (row,) = (await replica.rollouts.status())["rollouts"]
    return row["evidence"]["candidate"]["requests"], row["evidence"]["pairs"]["compared"]


async def test_what_an_earlier_rollout_sent_says_nothing_of_the_one_in_its_place(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    replica = site.replica()
    await replica.look()
    old = site.state()
    site.routes = {"fraud": route(*STEPS, version="5")}
    await replica.look()
    site.now += 1  # workers tell late what they had counted before
    harm = {"canary": HARM.candidate, "stable": HARM.baseline}
    site.store.arms.add("a", site.now, "fraud", old.id, harm)
    await replica.look()
    assert (site.state().status, replica.weight, await seen(replica)) == (
        "progressing",
        5.0,
        (0, 0),
    )
    site.serve(HARM)
    await replica.look()
    assert site.state().status == "rolled_back"


async def test_pairs_of_an_earlier_rollout_are_not_counted_for_the_one_in_its_place(site: Site):
    site.routes = {"fraud": route(MIRROR, *STEPS)}
    replica = site.replica()
    await replica.look()
    old = site.state()
    site.routes = {"fraud": route(MIRROR, *STEPS, version="5")}
    await replica.look()
    site.now += 1
    site.store.pairs.append([replace(compared(site), rollout=old.id) for _ in range(2_000)])
    await replica.look()
    assert (site.state().step, await seen(replica)) == (0, (0, 0))


async def test_arms_are_compared_from_when_the_candidate_got_its_present_weight(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    replica = site.replica()
    for _ in range(2):  # it begins, and looks
        await replica.look()
    site.now += 1
    site.serve(GOOD)
    assert await seen(replica) == (GOOD.candidate.requests, 0)
    await replica.look(QUARTER)
    assert (replica.weight, await seen(replica)) == (50.0, (0, 0))


async def test_evidence_begins_anew_for_who_resumes_after_harm(site: Site):
    site.routes = {"fraud": route(MIRROR, *STEPS, onFail="hold")}
    replica = site.replica()
    await replica.look()
    site.now += 0.5
    site.store.pairs.append([compared(site) for _ in range(5)])
    site.serve(HARM)
    await replica.look()
    assert (site.state().harm, await seen(replica)) == (True, (HARM.candidate.requests, 5))
    await replica.rollouts.resume("fraud", WHO)
    assert await seen(replica) == (0, 0)


async def test_a_replica_with_other_documents_gives_the_candidate_nothing(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    leader = site.replica("a")
    await leader.look()
    site.routes = {"fraud": route(*STEPS, version="5")}
    follower = site.replica("b")
    await follower.look()
    assert follower.published == []  # and a rollout without an effect has no weight


async def test_commands_work_on_any_replica_and_are_recorded_under_a_name(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    leader, other = site.replica("a"), site.replica("b")
    await leader.look()
    paused = await other.rollouts.pause("fraud", WHO)
    assert (paused["status"], paused["weight"], paused["reason"]) == (
        "paused",
        5.0,
        "paused by ada@risk",
    )
    await leader.look(QUARTER)
    assert site.state().step == 0
    assert (await other.rollouts.resume("fraud", WHO))["status"] == "progressing"
    aborted = await other.rollouts.abort("fraud", WHO)
    assert [event["actor"] for event in aborted["history"]] == ["controller", WHO, WHO, WHO]
    await leader.look()
    assert leader.weight == 0.0


async def test_commands_about_nothing_are_refused(site: Site):
    replica = site.replica()
    with pytest.raises(PenstockError, match='route "fraud" has no rollout') as refused:
        await replica.rollouts.pause("fraud", WHO)
    assert refused.value.kind is Kind.NOT_FOUND


async def test_who_resumes_into_a_mirror_step_waits_for_pairs_of_its_own(site: Site):
    site.routes = {"fraud": route(MIRROR, PAUSE, MIRROR, CANARY)}
    replica = site.replica()
    await replica.look()
    site.store.pairs.append([compared(site) for _ in range(2_000)])
    await replica.look()
    await replica.rollouts.resume("fraud", WHO)
    await replica.look()
    assert (site.state().step, site.state().step_compared) == (2, 2_000)


async def test_resuming_what_the_route_no_longer_asks_for_is_refused(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    replica = site.replica()
    await replica.look()
    await replica.rollouts.pause("fraud", WHO)
    site.routes = {}
    with pytest.raises(PenstockError, match="no longer asks"):
        await replica.rollouts.resume("fraud", WHO)
    assert (await replica.rollouts.abort("fraud", WHO))["status"] == "aborted"


async def test_a_rollout_that_is_taken_out_of_its_route_has_no_effect_and_comes_back(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    replica = site.replica()
    await replica.look()
    before, site.routes = site.routes, {}
    await replica.look()
    assert replica.published[-1] == {}
    site.routes = before
    await replica.look()
    assert replica.weight == 5.0
    assert site.audit()[0] == "begin"


async def test_a_command_has_its_effect_without_waiting_for_the_next_look(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    replica = site.replica()
    running = asyncio.create_task(replica.rollouts.run())
    try:
        await asyncio.wait_for(replica.told.wait(), 10)
        replica.told.clear()
        await replica.rollouts.abort("fraud", WHO)
        await asyncio.wait_for(replica.told.wait(), 0.9 * LOOK_INTERVAL)
        assert replica.weight == 0.0
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_without_traffic_it_is_held(site: Site):
    site.routes = {"fraud": route(*STEPS)}
    replica = site.replica()
    for _ in range(4):
        await replica.look(QUARTER)
    assert (site.state().status, replica.weight) == ("held", 5.0)
    site.serve(NOTHING)
    await replica.look()
    assert site.state().status == "held"


async def test_simulated_canaries_are_rolled_back_through_the_store(site: Site):
    names = [f"fraud-{seed}" for seed in range(12)]
    site.routes = {name: route(*STEPS, name=name) for name in names}
    rng = np.random.default_rng(5)
    replica = site.replica()
    await replica.look()
    for _ in range(20):
        site.now += 2
        for index, name in enumerate(names):
            site.serve(drawn(rng, 0.022 if index % 2 else 0.002, 0.002, 200), name)
        await replica.look()
    ended = [site.state(name).status == "rolled_back" for name in names]
    assert ended == [bool(index % 2) for index in range(12)]
