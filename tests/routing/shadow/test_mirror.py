"""Mirrors: the candidate gets copies, and whatever it does, the primary doesn't notice."""

import asyncio
import gc
import random
import time

import pytest

from protos.errors import Kind, PenstockError
from protos.route.snapshot import Arm
from protos.schedule import MAX_PRIORITY
from protos.service import Reply
from protos.timeline import Target
from routing.poison import Poison
from routing.shadow.capture import NO_ROOM, Capture
from routing.shadow.mirror import FULL, STOPPING, UNSENT, Mirror
from routing.shadow.pair import GONE, Pair
from tests.routing.scripted_backend import ScriptedBackend, connected
from tests.routing.shadow.shadow_scene import (
    NEVER,
    TRACE,
    Answers,
    Scene,
    part,
    request,
    route,
    rule,
)

MIRRORED = route(rule())


async def test_the_client_gets_the_primarys_answer_and_the_pair_is_recorded():
    service = Answers(v1=part(1.0), v2=part(2.0, version="2"))
    async with Scene(service) as scene:
        answer = await scene.ask(request(MIRRORED))
        (record,) = await scene.recorded()

    assert answer == [part(1.0)]
    assert record.status == "compared"
    assert record.outcome.agrees is False
    assert (record.route, record.mirror, record.arm) == ("fraud", "candidate", "stable")
    assert (record.model, record.version, record.primary_version) == ("m", "2", "1")
    assert (record.tenant, record.trace_id, record.request_id) == ("acme", TRACE, "id-1")
    assert record.shape == "x FP32[1,1]"
    assert record.at == 1_700_000_000.0
    assert record.primary.parts == record.candidate.parts == 1
    assert record.primary.bytes == record.candidate.bytes == 4
    assert 0.0 <= record.candidate.first_seconds <= record.candidate.seconds < 1.0


async def test_the_copy_has_the_same_payload_the_lowest_priority_and_times_of_its_own():
    service = Answers()
    async with Scene(service) as scene:
        asked = request(MIRRORED, budget=0.1)
        await scene.ask(asked)
        await scene.recorded()
    primary, copy = service.asked

    assert primary is asked
    assert copy.payload is asked.payload
    assert (copy.model, copy.version) == ("m", "2")
    assert copy.context.target == Target("candidate", "m", "2")
    assert copy.context.priority == MAX_PRIORITY
    assert copy.context.shadow
    assert copy.context.route is None
    assert copy.context.timeline is not asked.context.timeline
    assert copy.context.deadline == pytest.approx(copy.context.timeline.start + 5.0)
    assert copy.context.traceparent == asked.context.traceparent


async def test_the_primary_is_handed_on_before_its_copy():
    service = Answers()
    async with Scene(service) as scene:
        sending = asyncio.ensure_future(scene.ask(request(MIRRORED)))
        await asyncio.sleep(0)
        assert [each.version for each in service.asked] == ["1"]
        await sending
        await scene.recorded()
    assert [each.version for each in service.asked] == ["1", "2"]


@pytest.mark.parametrize(
    "unmirrored",
    [
        request(None),
        request(route()),
        request(MIRRORED, shadow=True),
        request(route(rule(percent=0.0))),
        request(MIRRORED, parameters={"sequence_id": 3}),
    ],
    ids=["no route", "no mirror", "a copy itself", "0 percent", "of a sequence"],
)
async def test_these_are_not_mirrored(unmirrored):
    service = Answers()
    async with Scene(service) as scene:
        await scene.ask(unmirrored)
        await asyncio.sleep(0)
        assert scene.mirror.in_flight == 0
    assert len(service.asked) == 1
    assert scene.records == []


async def test_so_many_percent_are_mirrored_and_two_mirrors_are_independent():
    service = Answers()
    snapshot = route(rule(percent=30.0), rule("other", version="3", percent=50.0))
    async with Scene(service) as scene:
        for _ in range(2000):
            await scene.ask(request(snapshot))
            await asyncio.sleep(0)
        await scene.mirror.drain(5.0)
    by_version = {v: sum(each.version == v for each in service.asked) for v in "123"}

    assert by_version["1"] == 2000
    assert 540 < by_version["2"] < 660
    assert 920 < by_version["3"] < 1080
    both = 2000 * 0.15
    sent = {id(each.payload) for each in service.asked if each.version == "2"}
    assert both - 75 < sum(id(e.payload) in sent for e in service.asked if e.version == "3")


async def test_a_candidate_that_never_answers_delays_no_primary_and_holds_no_more_than_its_cap():
    service = Answers(v1=part(1.0), v2=NEVER)
    snapshot = route(rule(maxInFlight=4))
    async with Scene(service) as scene:
        async with asyncio.timeout(5.0):
            for _ in range(500):
                assert await scene.ask(request(snapshot)) == [part(1.0)]
        await asyncio.sleep(0)
        records = await scene.recorded(496)

        assert scene.mirror.in_flight == scene.counts().in_flight == 4
        assert scene.pairing.room.held == 4 * (4 + 4)  # input and primary's answer of each
        assert {(record.status, record.outcome.reason) for record in records} == {("dropped", FULL)}
        assert records[0].version == "2"
        assert records[0].primary.parts == 1
    assert scene.mirror.in_flight == scene.counts().in_flight == 0
    assert scene.pairing.room.held == 0
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("copy")]


async def test_copies_that_end_make_room_for_others():
    service = Answers()
    async with Scene(service) as scene:
        for _ in range(20):
            await scene.ask(request(route(rule(maxInFlight=1))))
            await scene.mirror_idle()
        await scene.recorded(20)
        assert scene.counts().compared == 20


@pytest.mark.parametrize(
    ("failure", "error"),
    [(Kind.LOST, "lost"), (Kind.MODEL_FAILED, "model_failed"), (RuntimeError("x"), "internal")],
)
async def test_a_candidates_failure_is_recorded_and_nothing_else(failure, error):
    service = Answers(v1=part(1.0), v2=failure)
    async with Scene(service) as scene:
        assert await scene.ask(request(MIRRORED)) == [part(1.0)]
        (record,) = await scene.recorded()

    assert (record.status, record.candidate.error) == ("candidate_failed", error)
    assert len(service.asked) == 2  # it is not tried again
    assert scene.counts().failed == 1


async def test_a_candidate_too_busy_for_the_lowest_priority_hasnt_failed():
    async with Scene(Answers(v2=Kind.OVERLOADED)) as scene:
        await scene.ask(request(MIRRORED))
        (record,) = await scene.recorded()
    assert (record.status, record.candidate.error) == ("dropped", "overloaded")


async def test_a_candidate_that_is_not_there_fails_every_pair():
    def missing(model, version):
        raise PenstockError(Kind.NOT_FOUND, "none")

    service = Answers()
    async with Scene(service, resolve=missing) as scene:
        await scene.ask(request(MIRRORED))
        (record,) = await scene.recorded()
    assert (record.status, record.candidate.error) == ("candidate_failed", "not_found")
    assert record.version == "2"
    assert len(service.asked) == 1


async def test_a_copy_that_cant_be_made_stops_neither_the_primary_nor_other_mirrors():
    def broken_for_two(model, version):
        if version == "2":
            raise RuntimeError("a bug")
        return version

    service = Answers(v1=part(1.0))
    snapshot = route(rule(), rule("other", version="3"))
    async with Scene(service, resolve=broken_for_two) as scene:
        assert await scene.ask(request(snapshot)) == [part(1.0)]
        records = await scene.recorded(2)
    assert {r.mirror: (r.status, r.outcome.reason) for r in records} == {
        "candidate": ("dropped", UNSENT),
        "other": ("compared", ""),
    }
    assert scene.pairing.room.held == 0


async def test_a_copys_deadline_ends_it_whatever_carries_it():
    written = route(rule(), timeouts={"total": "50ms"})
    async with Scene(Answers(v2=NEVER)) as scene:
        await scene.ask(request(written))
        (record,) = await scene.recorded()
        assert scene.mirror.in_flight == 0
    assert (record.status, record.candidate.error) == ("candidate_failed", "deadline")
    assert 0.04 < record.candidate.seconds < 1.0


async def test_a_copy_has_not_failed_that_only_took_longer_than_the_client_would_wait():
    async def slow(request):
        await asyncio.sleep(0.02 if request.context.shadow else 0.0)
        return Reply(part(1.0))

    async with Scene(slow) as scene:
        await scene.ask(request(MIRRORED, budget=0.01))
        (record,) = await scene.recorded()
    assert record.status == "compared"


async def test_an_input_that_killed_a_candidate_is_sent_there_no_more_and_counts_against_it():
    service = Answers(v2=Kind.LOST)
    async with Scene(service) as scene:
        for _ in range(5):
            await scene.ask(request(MIRRORED, 0.25))
            await scene.mirror_idle()
        records = await scene.recorded(5)
        assert scene.pairing.room.held == 0
    assert [each.version for each in service.asked].count("2") == 1
    assert {record.status for record in records} == {"candidate_failed"}
    assert [record.candidate.error for record in records] == ["lost"] + ["model_failed"] * 4
    assert scene.counts().sent == 1


async def test_an_input_that_killed_it_in_the_middle_of_a_stream_is_sent_there_no_more():
    service = Answers(v2=[part(1.0, final=False), PenstockError(Kind.LOST, "died")])
    async with Scene(service) as scene:
        for _ in range(3):
            await scene.ask(request(MIRRORED, 0.25))
            await scene.mirror_idle()
        await scene.recorded(3)
    assert [each.version for each in service.asked].count("2") == 1


async def test_other_inputs_and_other_versions_are_still_sent():
    service = Answers(v2=Kind.LOST)
    both = route(rule(), rule("other", version="3"))
    async with Scene(service) as scene:
        for value in (0.25, 0.25, 0.5):
            await scene.ask(request(both, value))
            await scene.mirror_idle()
        await scene.recorded(6)
    versions = [each.version for each in service.asked]
    assert versions.count("2") == 2
    assert versions.count("3") == 3


async def test_a_lost_copy_is_no_reason_to_refuse_a_client():
    poison = Poison()
    noisy = route(rule(compare={"noiseFloor": "stable", "noiseSample": "100%"}))

    async def dying(request):
        if request.context.shadow:
            raise PenstockError(Kind.LOST, "died")
        return Reply(part(1.0))

    asked = request(noisy, 0.25)
    async with Scene(dying, poison=poison) as scene:
        for _ in range(2):
            await scene.ask(asked)
            await scene.mirror_idle()
        await scene.recorded(2)
        assert scene.counts().noise_sent == 1
    assert not poison.holds(asked, time.monotonic())


async def test_what_is_refused_to_clients_is_not_copied_either():
    service, poison = Answers(), Poison()
    poison.add(request(MIRRORED, 0.25, target=Target("canary", "m", "2")), time.monotonic())
    async with Scene(service, poison=poison) as scene:
        await scene.ask(request(MIRRORED, 0.25))
        (record,) = await scene.recorded()
    assert [each.version for each in service.asked] == ["1"]
    assert (record.status, record.candidate.error) == ("candidate_failed", "model_failed")


async def test_a_failed_primary_is_nobodys_evidence():
    service = Answers(v1=Kind.INVALID)
    async with Scene(service) as scene:
        with pytest.raises(PenstockError):
            await scene.ask(request(MIRRORED))
        (record,) = await scene.recorded()
    assert (record.status, record.primary.error) == ("primary_failed", "invalid")
    assert record.shape == ""
    assert len(service.asked) == 1  # it was refused at once, so no copy was sent


async def test_a_client_that_goes_away_ends_the_primary_and_not_the_copy():
    service = Answers(v1=NEVER)
    async with Scene(service) as scene:
        sending = asyncio.ensure_future(scene.ask(request(MIRRORED)))
        await asyncio.sleep(0)
        sending.cancel()
        (record,) = await scene.recorded()
    assert (record.status, record.outcome.reason) == ("primary_failed", GONE)
    assert record.candidate.error == ""
    assert record.candidate.parts == 1


async def test_without_a_version_the_newest_is_resolved_for_each_copy():
    versions = iter("456")
    async with Scene(Answers(), resolve=lambda m, v: next(versions)) as scene:
        for _ in range(2):
            await scene.ask(request(route(rule(version=""))))
        records = await scene.recorded(2)
    assert [record.version for record in records] == ["4", "5"]


async def test_the_canary_is_not_compared_with_itself():
    service = Answers()
    async with Scene(service) as scene:
        await scene.ask(request(MIRRORED, target=Target("canary", "m", "2")))
        await asyncio.sleep(0.01)
    assert len(service.asked) == 1
    assert scene.records == []
    assert scene.pairing.room.held == 0


async def test_a_single_arm_may_be_compared_with_itself_as_an_a_a_test():
    snapshot = route(rule(version="1"), arms=[Arm("stable", "m", "1", 1.0)])
    async with Scene(Answers()) as scene:
        await scene.ask(request(snapshot))
        (record,) = await scene.recorded()
    assert record.outcome.agrees is True


# --- the noise floor ------------------------------------------------------------------------------


async def test_the_primarys_arm_is_asked_again_for_the_noise_floor():
    service = Answers(v1=part(1.0), v2=part(2.0))
    snapshot = route(rule(compare={"noiseFloor": "stable", "noiseSample": "100%"}))
    async with Scene(service) as scene:
        await scene.ask(request(snapshot))
        (record,) = await scene.recorded()
    assert record.outcome.agrees is False
    assert record.noise.agrees is True
    again = service.asked[2]
    assert again.context.shadow
    assert again.context.target == Target("stable", "m", "1")
    assert scene.counts().noise_sent == 1


async def test_noise_is_measured_on_the_sample_only():
    snapshot = route(rule(compare={"noiseFloor": "stable", "noiseSample": "40%"}))
    async with Scene(Answers()) as scene:
        for _ in range(1000):
            await scene.ask(request(snapshot))
            await scene.mirror_idle()
        records = await scene.recorded(1000)
    assert 340 < sum(record.noise is not None for record in records) < 460


async def test_another_arms_answer_is_not_taken_for_the_noise():
    service = Answers()
    snapshot = route(
        rule(version="3", compare={"noiseFloor": "stable", "noiseSample": "100%"}),
    )
    async with Scene(service) as scene:
        await scene.ask(request(snapshot, target=Target("canary", "m", "2")))
        (record,) = await scene.recorded()
    assert record.noise is None
    assert len(service.asked) == 2


async def test_a_model_that_must_not_run_twice_is_not_asked_again():
    service = Answers()
    snapshot = route(rule(compare={"noiseFloor": "stable", "noiseSample": "100%"}))
    async with Scene(service, idempotent=False) as scene:
        await scene.ask(request(snapshot))
        (record,) = await scene.recorded()
    assert record.noise is None
    assert len(service.asked) == 2


async def test_noise_counts_against_the_same_cap():
    service = Answers(v1=part(1.0), v2=NEVER)
    snapshot = route(
        rule(maxInFlight=1, compare={"noiseFloor": "stable", "noiseSample": "100%"}),
    )
    async with Scene(service) as scene:
        await scene.ask(request(snapshot))
        await asyncio.sleep(0.01)
        assert len(service.asked) == 2
        assert scene.mirror.in_flight == 1


# --- bounds and the end ---------------------------------------------------------------------------


async def test_payloads_in_memory_are_bounded_by_bytes():
    service = Answers(v1=part(1.0), v2=NEVER)
    async with Scene(service, room=20) as scene:
        for _ in range(50):
            await scene.ask(request(MIRRORED))
        assert scene.pairing.room.held <= 20
        await asyncio.sleep(0)
        await scene.recorded(47)  # three hang
        assert {record.outcome.reason for record in scene.records} == {NO_ROOM}
    assert scene.pairing.room.held == 0


async def test_draining_waits_for_copies_and_starts_no_others():
    service = Answers()
    async with Scene(service) as scene:
        await scene.ask(request(MIRRORED))
        await asyncio.sleep(0)
        await scene.mirror.drain(5.0)
        assert scene.mirror.in_flight == 0
        await scene.ask(request(MIRRORED))
        await asyncio.sleep(0)
    assert [each.version for each in service.asked] == ["1", "2", "1"]
    assert [record.status for record in scene.records] == ["compared"]


async def test_what_closing_cuts_off_was_dropped_and_did_not_fail():
    scene = Scene(Answers(v2=NEVER))
    await scene.ask(request(MIRRORED))
    await asyncio.sleep(0)
    await scene.mirror.drain(0.01)
    await scene.mirror.close()
    (record,) = scene.records
    assert (record.status, record.outcome.reason) == ("dropped", STOPPING)


async def test_closing_before_a_copy_has_begun_leaves_nothing_behind():
    scene = Scene(Answers())
    sending = asyncio.ensure_future(scene.ask(request(MIRRORED)))
    await asyncio.sleep(0)
    await scene.mirror.close()
    await sending
    assert scene.mirror.in_flight == 0
    assert scene.pairing.room.held == 0


def held():
    return {id(each) for each in gc.get_objects() if isinstance(each, Pair | Capture)}


@pytest.mark.parametrize("candidate", [part(2.0), Kind.LOST])
async def test_nothing_waits_for_the_garbage_collector(candidate):
    service = Answers(v1=part(1.0), v2=candidate)
    before = held()  # logs of other tests hold tracebacks
    gc.disable()
    try:
        async with Scene(service) as scene:
            for _ in range(20):
                await scene.ask(request(MIRRORED))
            await scene.mirror_idle()
            await scene.recorded(20)
        left = held()
    finally:
        gc.enable()
    assert left <= before


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_every_mirrored_request_is_recorded_once_and_nothing_stays(seed):
    rng = random.Random(seed)

    class Moody(Answers):
        async def __call__(self, request):
            await asyncio.sleep(rng.choice([0, 0, 0.001, 0.003]))
            answer = rng.choice(
                [part(1.0), part(2.0), Kind.LOST, Kind.OVERLOADED, [part(1.0, final=False)] * 3]
            )
            if isinstance(answer, list) and not request.context.streaming:
                answer = part(3.0)
            self.by_version[request.version] = answer
            return await super().__call__(request)

    snapshot = route(
        rule(maxInFlight=6, compare={"noiseFloor": "stable", "noiseSample": "50%"}),
        rule("other", version="3", percent=50.0),
    )
    scene = Scene(Moody(), room=200, waiting=8)
    asked = [
        asyncio.ensure_future(scene.ask(request(snapshot, streaming=rng.random() < 0.3)))
        for _ in range(100)
    ]
    for each in rng.sample(asked, 20):
        asyncio.get_running_loop().call_later(rng.random() * 0.004, each.cancel)
    await asyncio.gather(*asked, return_exceptions=True)
    await scene.mirror.drain(5.0)
    await scene.mirror.close()

    first = [record for record in scene.records if record.mirror == "candidate"]
    # A task that is cancelled before it begins has asked for nothing.
    assert 80 <= len(first) <= 100
    for name in ("candidate", "other"):
        counts = scene.counts(name)
        recorded = [record for record in scene.records if record.mirror == name]
        assert counts.in_flight == 0
        assert len(recorded) == (
            counts.compared
            + counts.dropped
            + counts.failed
            + counts.primary_failed
            + counts.incomparable
        )
    assert scene.pairing.room.held == 0
    assert scene.mirror.in_flight == 0


# --- over a real exchange -------------------------------------------------------------------------


@pytest.fixture
async def backend():
    backend = ScriptedBackend()
    await backend.start()
    yield backend
    await backend.stop()


async def test_primaries_leave_in_a_frame_of_their_own_before_the_copies(backend):
    async def echo(call):
        await backend.answer(call, call.inputs["x"])

    backend.on_call = echo
    async with connected(backend) as exchange, Scene(exchange) as scene:
        snapshot = route(rule(maxInFlight=64))
        await asyncio.gather(*[scene.ask(request(snapshot)) for _ in range(20)])
        records = await scene.recorded(20)
    shadows = [call.shadow for call in backend.calls.values()]
    assert shadows == [False] * 20 + [True] * 20
    assert backend.frames[0] >= 19
    assert {record.status for record in records} == {"compared"}


async def test_copies_that_are_cut_off_are_cancelled_at_their_backend(backend):
    async def answer_primaries(call):
        if not call.shadow:
            await backend.answer(call, call.inputs["x"])

    backend.on_call = answer_primaries
    async with connected(backend) as exchange:
        async with Scene(exchange) as scene:
            await asyncio.gather(*[scene.ask(request(MIRRORED)) for _ in range(5)])
            await backend.until(lambda: len(backend.calls) == 10)
            assert exchange.in_flight == 5
        assert exchange.in_flight == 0
        await backend.until(lambda: len(backend.cancels) == 5)
    copies = [call.id for call in backend.calls.values() if call.shadow]
    assert sorted(backend.cancels) == sorted(copies)


def test_it_says_what_it_holds():
    scene = Scene(Answers())
    assert repr(scene.mirror) == "<Mirror 0 in flight, <Room 0 of 67108864 bytes>>"
    assert isinstance(scene.mirror, Mirror)
