"""Which endpoint a call gets: turns stay together, waits decide, apertures are narrow."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from protos.errors import Kind, PenstockError
from protos.values import Context, InferRequest, Principal, Tensors, Timeline
from routing.pick import MIN_APERTURE, WIDEN_ABOVE, Aperture, Pick


class FakeEndpoint:
    def __init__(self, instance, wait=0.0, usable=True, possible=True):
        self.instance = instance
        self.wait = wait
        self.usable = usable
        self.possible = possible
        self.exchange = SimpleNamespace(in_flight=0)
        self.suspect_turn = asyncio.Lock()
        self.breakers = {}

    def predicted_wait(self):
        return self.wait

    def cost(self, now):
        return self.wait


class Turns:
    """Stands for the event loop: what `call_soon` was given runs when the turn ends."""

    def __init__(self):
        self.due = []

    def __call__(self, callback):
        self.due.append(callback)

    def end(self):
        due, self.due = self.due, []
        for callback in due:
            callback()


def request(tried=()):
    context = Context(Principal("s", "t", frozenset()), 100.0, Timeline(0.0))
    context.timeline.instances.extend(tried)
    return InferRequest("", "m", "1", Tensors(()), {}, context)


def pick_among(*endpoints):
    turns = Turns()
    table = SimpleNamespace(serving=lambda model, version: endpoints)
    return Pick(table, "worker", lambda: 0.0, turns), turns


def test_the_least_waiting_endpoint_is_picked():
    pick, _ = pick_among(FakeEndpoint("a", 0.01), FakeEndpoint("b", 0.002))
    assert pick.choose(request()).instance == "b"


def test_a_turns_calls_stay_together_and_the_next_turn_chooses_anew():
    a, b = FakeEndpoint("a", 0.0), FakeEndpoint("b", 0.001)
    pick, turns = pick_among(a, b)
    assert pick.choose(request()) is a
    a.wait = 0.0015  # more than b's, but within what following may cost
    assert pick.choose(request()) is a
    turns.end()
    assert pick.choose(request()) is b


def test_following_ends_when_the_wait_grows():
    a, b = FakeEndpoint("a"), FakeEndpoint("b", 0.001)
    pick, _ = pick_among(a, b)
    assert pick.choose(request()) is a
    a.wait = 0.05
    assert pick.choose(request()) is b


def test_unusable_endpoints_are_left_out():
    pick, _ = pick_among(FakeEndpoint("a", usable=False), FakeEndpoint("b", 1.0))
    assert pick.choose(request()).instance == "b"


def test_another_attempt_goes_elsewhere_if_there_is_an_elsewhere():
    pick, _ = pick_among(FakeEndpoint("a"), FakeEndpoint("b", 1.0))
    assert pick.choose(request(tried=["a"])).instance == "b"
    assert pick.choose(request(tried=["a", "b"])).instance == "a"


def test_another_attempt_when_the_version_is_gone_is_unavailable():
    pick, _ = pick_among()
    with pytest.raises(PenstockError, match="not ready"):
        pick.choose(request(tried=["a"]))


def test_elsewhere_is_a_usable_endpoint_that_was_not_tried():
    pick, _ = pick_among(FakeEndpoint("a"), FakeEndpoint("b", usable=False))
    assert pick.has_elsewhere(request())
    assert not pick.has_elsewhere(request(tried=["a"]))


async def test_an_endpoint_gets_one_suspect_at_a_time():
    class Counting(FakeEndpoint):
        present = most = 0

        async def __call__(self, request):
            Counting.present += 1
            Counting.most = max(Counting.most, Counting.present)
            await asyncio.sleep(0)
            Counting.present -= 1

    pick, _ = pick_among(Counting("a"))
    asked = request()
    suspect = replace(asked, context=replace(asked.context, suspect=True))
    await asyncio.gather(*(pick(suspect) for _ in range(5)))
    assert Counting.most == 1


def test_when_most_are_doubtful_everybody_who_can_be_written_to_is_used():
    doubtful = [FakeEndpoint(name, usable=False) for name in "ab"]
    pick, _ = pick_among(*doubtful, FakeEndpoint("c", 1.0))
    assert pick.choose(request()) in doubtful
    assert pick.panics == 1


def test_nobody_reachable_is_unavailable():
    pick, _ = pick_among(FakeEndpoint("a", usable=False, possible=False))
    with pytest.raises(PenstockError) as caught:
        pick.choose(request())
    assert caught.value.kind is Kind.UNAVAILABLE


def test_an_unserved_version_is_unavailable():
    pick, _ = pick_among()
    with pytest.raises(PenstockError, match="not ready"):
        pick.choose(request())


def test_an_aperture_is_the_same_for_one_worker_and_another_for_others():
    endpoints = tuple(FakeEndpoint(f"e{n}") for n in range(16))
    subsets = {
        worker: frozenset(e.instance for e in Aperture(worker).subset(endpoints, 0.0))
        for worker in ("w1", "w2", "w3", "w4")
    }
    assert all(len(subset) == MIN_APERTURE for subset in subsets.values())
    assert subsets["w1"] == frozenset(e.instance for e in Aperture("w1").subset(endpoints, 0.0))
    assert len(set(subsets.values())) > 1


def test_an_aperture_widens_under_load_and_narrows_after_it():
    endpoints = tuple(FakeEndpoint(f"e{n}", 2 * WIDEN_ABOVE) for n in range(16))
    aperture = Aperture("w")
    for tick in range(1, 9):
        aperture.subset(endpoints, float(tick))
    assert aperture.width == MIN_APERTURE + 8
    for endpoint in endpoints:
        endpoint.wait = 0.0
    for tick in range(9, 30):
        aperture.subset(endpoints, float(tick))
    assert aperture.width == MIN_APERTURE


def test_losing_an_endpoint_moves_only_its_place_in_the_aperture():
    endpoints = tuple(FakeEndpoint(f"e{n}") for n in range(16))
    aperture = Aperture("w")
    before = aperture.subset(endpoints, 0.0)
    after = aperture.subset(tuple(e for e in endpoints if e is not before[0]), 0.0)
    assert len(set(before) & set(after)) == MIN_APERTURE - 1
