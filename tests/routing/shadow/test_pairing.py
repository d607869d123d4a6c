"""Pairing: one honest record for each mirrored request, made off the event loop."""

import asyncio
import threading

import pytest

from routing.shadow.pairing import LAGGING, Pairing
from routing.shadow.record import Outcome
from tests.routing.shadow.shadow_scene import Answers, Scene, bitwise, part, request, route, rule

DIFFERING = Answers(v1=part(1.0), v2=part(2.0))
NOISY = {"noiseFloor": "stable", "noiseSample": "100%"}


async def test_comparisons_run_in_a_thread_of_their_own():
    where = []

    def comparing(primary, candidate):
        where.append(threading.current_thread())
        return bitwise(primary, candidate)

    async with Scene(DIFFERING, comparator=comparing) as scene:
        await scene.ask(request(route(rule())))
        await scene.recorded()
    assert where[0] is not threading.main_thread()
    assert where[0].daemon
    assert not where[0].is_alive()  # closing the scene has ended it


async def test_there_is_no_thread_until_something_is_mirrored():
    async with Scene(DIFFERING) as scene:
        await scene.ask(request(route()))
        assert "shadow pairs" not in {each.name for each in threading.enumerate()}


@pytest.mark.parametrize("noisy", [False, True])
async def test_answers_that_make_no_sense_together_are_incomparable(noisy):
    def comparing(primary, candidate):
        return Outcome(None, reason="no JSON")

    snapshot = route(rule(compare=NOISY if noisy else {}))
    async with Scene(DIFFERING, comparator=comparing) as scene:
        await scene.ask(request(snapshot))
        (record,) = await scene.recorded()
    assert (record.status, record.outcome.reason) == ("incomparable", "no JSON")
    assert record.noise is None
    assert scene.counts().incomparable == 1


async def test_a_comparison_that_raises_is_one_incomparable_pair_and_the_next_is_compared(caplog):
    outcomes = iter([ValueError("a tenant's value"), Outcome(True)])

    def comparing(primary, candidate):
        found = next(outcomes)
        if isinstance(found, Exception):
            raise found
        return found

    async with Scene(DIFFERING, comparator=comparing) as scene:
        for _ in range(2):
            await scene.ask(request(route(rule())))
        first, second = await scene.recorded(2)
    assert first.status == "incomparable"
    assert first.outcome.reason == "the comparison failed (ValueError)"
    assert "could not be compared: ValueError" in caplog.text
    assert "a tenant's value" not in caplog.text
    assert second.status == "compared"


async def test_when_comparing_lags_behind_pairs_are_dropped_and_recorded_as_such():
    going_on = threading.Event()

    def comparing(primary, candidate):
        going_on.wait(10.0)
        return Outcome(True)

    async with Scene(DIFFERING, comparator=comparing, waiting=3) as scene:
        for _ in range(20):
            await scene.ask(request(route(rule())))
            await scene.mirror_idle()
        held = scene.pairing.room.held
        going_on.set()
        records = await scene.recorded(20)
    dropped = [record for record in records if record.status == "dropped"]
    assert {record.outcome.reason for record in dropped} == {LAGGING}
    assert len(dropped) in (16, 17)  # one may be with the thread already
    assert held <= 4 * 12
    assert scene.counts().dropped == len(dropped)


async def test_a_record_that_cant_be_handed_over_is_counted_and_the_next_one_is_taken():
    failures = iter([RuntimeError("no disk"), None])
    taken = []

    def sink(record):
        failure = next(failures)
        if failure is not None:
            raise failure
        taken.append(record)

    async with Scene(DIFFERING) as scene:
        scene.pairing._sink = sink
        for _ in range(2):
            await scene.ask(request(route(rule())))
            await scene.mirror_idle()
        async with asyncio.timeout(5.0):
            while not taken:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    assert scene.pairing.failed == 1
    assert scene.pairing.room.held == 0


async def test_what_ends_after_closing_is_counted_and_holds_nothing():
    scene = Scene(DIFFERING)
    await scene.ask(request(route(rule())))
    scene.pairing.close(1.0)
    await scene.mirror_idle()
    await scene.mirror.close()
    assert scene.pairing.overflowed == 1
    assert scene.pairing.room.held == 0


# --- what is kept of the answers ------------------------------------------------------------------


class Redacting:
    def answers(self, snapshot, primary, candidate):
        return f'{{"route": "{snapshot.name}", "parts": {len(primary) + len(candidate)}}}'

    def sentence(self, snapshot, text):
        return text.replace("bob", "***")


class Failing:
    def answers(self, snapshot, primary, candidate):
        raise ValueError("4111 1111 1111 1111")

    def sentence(self, snapshot, text):
        raise ValueError(text)


@pytest.mark.parametrize(
    ("payloads", "redact", "candidate", "kept"),
    [
        (True, Redacting(), 2.0, '{"route": "fraud", "parts": 2}'),
        (True, Redacting(), 1.0, ""),
        (True, None, 2.0, ""),
        (False, Redacting(), 2.0, ""),
    ],
    ids=["asked for", "they agree", "nothing redacts", "not asked for"],
)
async def test_answers_are_kept_only_if_asked_for_redacted_and_differing(
    payloads, redact, candidate, kept
):
    service = Answers(v1=part(1.0), v2=part(candidate))
    async with Scene(service, redact=redact) as scene:
        await scene.ask(request(route(rule(compare={"payloads": payloads}))))
        (record,) = await scene.recorded()
    assert record.payloads == kept


async def test_answers_that_cant_be_redacted_are_not_kept_nor_logged(caplog):
    async with Scene(DIFFERING, redact=Failing()) as scene:
        await scene.ask(request(route(rule(compare={"payloads": True}))))
        (record,) = await scene.recorded()
    assert (record.status, record.payloads) == ("compared", "")
    assert "ValueError" in caplog.text
    assert "4111" not in caplog.text


@pytest.mark.parametrize(
    ("redact", "label", "reason"),
    [(None, "bob", "not bob"), (Redacting(), "***", "not ***"), (Failing(), "", "")],
)
async def test_labels_and_reasons_may_quote_answers_and_are_redacted(redact, label, reason):
    def comparing(primary, candidate):
        return Outcome(False, label="bob", reason="not bob")

    async with Scene(DIFFERING, comparator=comparing, redact=redact) as scene:
        await scene.ask(request(route(rule())))
        (record,) = await scene.recorded()
    assert (record.outcome.label, record.outcome.reason) == (label, reason)


def test_a_pairing_that_was_never_used_closes():
    Pairing(lambda compare: bitwise, lambda record: True).close(1.0)
