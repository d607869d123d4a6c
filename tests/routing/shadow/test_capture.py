"""Captures: an answer is remembered as it passes, unchanged and undelayed, in bounded memory."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.timeline import Timeline
from routing.shadow import capture as captures
from routing.shadow.capture import NO_ROOM, TOO_LARGE, Capture, Room, kind_of, watched
from routing.shadow.pair import GONE
from tests.routing.shadow.shadow_scene import NEVER, Answers, Scene, part, request, route, rule


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 10.0

    def __call__(self):
        return self.now


class Ended:
    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1


def capture(room=None, on_end=lambda: None):
    timeline = Timeline(10.0)
    timeline.queue_us, timeline.compute_us = 2000, 3000
    return Capture(room or Room(1 << 20), timeline, 10.0, on_end)


def streamed(*answers):
    """The parts as a stream's reply, and the list that tells how often it was closed."""
    closed = []

    async def rest():
        for each in answers[1:]:
            if isinstance(each, Exception):
                raise each
            yield each

    return Reply(answers[0], rest(), lambda: closed.append(True)), closed


THREE = (part(1.0, final=False), part(2.0, 3.0, final=False), part(4.0))


async def test_a_unary_reply_passes_as_it_is():
    clock, ended = Clock(), Ended()
    kept = capture(on_end=ended)
    reply = Reply(part(1.0))
    clock.now = 10.25

    assert watched(reply, [kept], clock) is reply
    assert kept.parts == [part(1.0)]
    side = kept.side()
    assert (side.seconds, side.first_seconds) == (0.25, 0.25)
    assert (side.queue_seconds, side.compute_seconds) == (0.002, 0.003)
    assert (side.bytes, side.parts, side.error) == (4, 1, "")
    assert ended.times == 1


async def test_parts_of_a_stream_pass_one_by_one_and_are_remembered():
    clock, ended = Clock(), Ended()
    kept = capture(on_end=ended)
    original, closed = streamed(*THREE)
    clock.now = 10.5
    reply = watched(original, [kept], clock)
    assert kept.parts == [THREE[0]]
    passed = []
    async for each in reply.rest:
        clock.now += 1.0
        passed.append(each)
        assert kept.parts == [THREE[0], *passed]
    reply.on_close()

    assert tuple(passed) == THREE[1:]
    assert ended.times == 1
    assert closed == [True]
    side = kept.side()
    assert (side.first_seconds, side.seconds) == (0.5, 1.5)
    assert (side.bytes, side.parts) == (16, 3)


async def test_a_stream_that_breaks_breaks_for_the_client_too():
    kept = capture()
    failure = PenstockError(Kind.LOST, "gone")
    reply = watched(streamed(THREE[0], failure)[0], [kept], Clock())
    with pytest.raises(PenstockError) as raised:
        await anext(reply.rest)
    assert raised.value is failure
    assert kept.error == "lost"
    assert kept.parts == []


async def test_a_stream_without_a_final_part_ends_with_its_iterator():
    kept = capture()
    reply = watched(streamed(THREE[0], THREE[1])[0], [kept], Clock())
    assert [each async for each in reply.rest] == [THREE[1]]
    assert kept.done
    assert kept.error == ""


async def test_a_client_that_stops_reading_ends_the_capture_and_closes_once():
    ended = Ended()
    kept = capture(on_end=ended)
    original, closed = streamed(*THREE)
    reply = watched(original, [kept], Clock())
    await anext(reply.rest)
    reply.on_close()
    assert (kept.done, kept.error, ended.times) == (True, "cancelled", 1)
    assert closed == [True]


async def test_a_long_answer_is_counted_but_not_kept(monkeypatch):
    monkeypatch.setattr(captures, "MAX_BYTES", 8)
    room, kept = Room(100), None
    kept = capture(room)
    reply = watched(streamed(*THREE)[0], [kept], Clock())
    assert room.held == 4
    passed = [each async for each in reply.rest]
    assert tuple(passed) == THREE[1:]
    assert (kept.missing, kept.parts, room.held) == (TOO_LARGE, [], 0)
    assert (kept.side().bytes, kept.side().parts) == (16, 3)


async def test_an_answer_of_very_many_parts_is_not_kept_either(monkeypatch):
    monkeypatch.setattr(captures, "MAX_PARTS", 2)
    kept = capture()
    async for _ in watched(streamed(*THREE)[0], [kept], Clock()).rest:
        pass
    assert kept.missing == TOO_LARGE
    assert kept.side().parts == 3


def test_without_room_nothing_is_kept():
    kept = capture(Room(3))
    kept.take(part(1.0), 10.0)
    assert (kept.missing, kept.parts, kept.done) == (NO_ROOM, [], True)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=40))
@settings(deadline=None, max_examples=60)
def test_the_room_is_never_overdrawn_and_ends_as_it_began(steps):
    room = Room(100)
    kept = [capture(room) for _ in range(4)]
    for which, floats in steps:
        kept[which].take(part(*[0.0] * floats, final=False), 10.0)
        assert room.held == sum(each.held for each in kept) <= room.limit
    for each in kept:
        each.end(11.0, "lost")
    assert room.held == 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PenstockError(Kind.MODEL_FAILED, "m"), "model_failed"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (ValueError("v"), "internal"),
    ],
)
def test_failures_have_the_names_of_the_error_table(error, kind):
    assert kind_of(error) == kind


# --- with a mirror --------------------------------------------------------------------------------


def of(version, *values):
    """A stream with one part a value."""
    last = len(values) - 1
    return [part(value, version=version, final=at == last) for at, value in enumerate(values)]


async def test_streams_are_compared_as_a_whole():
    service = Answers(v1=of("1", 1.0, 2.0, 3.0), v2=of("2", 1.0, 2.0, 3.5))
    async with Scene(service) as scene:
        answer = await scene.ask(request(route(rule()), streaming=True))
        (record,) = await scene.recorded()
        assert answer == of("1", 1.0, 2.0, 3.0)
        assert record.outcome.agrees is False
        assert (record.primary.parts, record.candidate.parts) == (3, 3)
        assert sorted(service.closed) == ["1", "2"]
        assert service.asked[1].context.streaming


async def test_a_stream_whose_candidate_hangs_in_the_middle_reaches_the_client_whole():
    service = Answers(v1=of("1", 1.0, 2.0), v2=[part(1.0, final=False), NEVER])
    async with Scene(service, total=0.05) as scene:
        asked = request(route(rule()), streaming=True)
        assert await scene.ask(asked) == of("1", 1.0, 2.0)
        (record,) = await scene.recorded()
        assert (record.status, record.candidate.error) == ("candidate_failed", "deadline")
        assert record.candidate.parts == 1
        assert sorted(service.closed) == ["1", "2"]


async def test_a_client_that_leaves_a_stream_early_is_not_held_against_the_candidate():
    service = Answers(v1=of("1", 1.0, 2.0, 3.0), v2=of("2", 1.0, 2.0, 3.0))
    async with Scene(service) as scene:
        reply = await scene.mirror(request(route(rule()), streaming=True), service)
        await anext(reply.rest)
        reply.on_close()
        (record,) = await scene.recorded()
    assert (record.status, record.outcome.reason) == ("primary_failed", GONE)
    assert (record.primary.parts, record.candidate.parts) == (2, 3)
    assert scene.counts().failed == 0


async def test_a_candidate_is_read_no_further_than_its_answer_can_be_compared(monkeypatch):
    monkeypatch.setattr(captures, "MAX_PARTS", 3)
    service = Answers(v1=of("1", 1.0), v2=of("2", *range(50)))
    async with Scene(service) as scene:
        await scene.ask(request(route(rule()), streaming=True))
        (record,) = await scene.recorded()
    assert (record.status, record.outcome.reason) == ("incomparable", TOO_LARGE)
    assert record.candidate.parts == 4
    assert "2" in service.closed
