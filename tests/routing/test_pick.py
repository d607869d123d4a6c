"""Which endpoint a call gets: turns stay together, costs decide, outliers are left out."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Tensors
from routing.aperture import Aperture
from routing.breaker import BASE, BURST, Breaker, State, Verdict
from routing.endpoints import EndpointTable
from routing.exchange import Exchange
from routing.outlier import CONSECUTIVE
from routing.pick import Pick
from tests.routing.scripted_backend import KEY, ScriptedBackend
from tests.routing.scripted_backend import request as numbers


class FakeEndpoint:
    def __init__(self, instance, wait=0.0, usable=True, possible=True):
        self.instance = instance
        self.wait = wait
        self.usable = usable
        self.possible = possible
        self.exchange = SimpleNamespace(in_flight=0)
        self.suspect_turn = asyncio.Lock()
        self.breakers = {}
        self.left = False

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


def request(tried=(), **how):
    context = Context(Principal("s", "t", frozenset()), 100.0, Timeline(0.0), **how)
    context.timeline.instances.extend(tried)
    return InferRequest("", "m", "1", Tensors(()), {}, context)


def pick_among(*endpoints):
    turns = Turns()
    table = SimpleNamespace(serving=lambda model, version: endpoints, keeping=())
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


async def test_a_suspect_waits_for_those_of_others_without_being_one_of_the_calls_there():
    class Occupied(FakeEndpoint):
        asked = 0

        async def __call__(self, request):
            Occupied.asked += 1
            if Occupied.asked < 3:
                raise PenstockError(Kind.OCCUPIED, "another call is tried alone here")
            return "answered"

    pick, _ = pick_among(Occupied("a"))
    asked = request()
    suspect = replace(asked, context=replace(asked.context, suspect=True))
    assert await pick(suspect) == "answered"
    assert Occupied.asked == 3
    assert len(asked.context.timeline.attempts) == 1


async def test_a_suspect_whose_turn_comes_when_the_endpoint_has_left_goes_elsewhere():
    class Holding(FakeEndpoint):
        async def __call__(self, request):
            raise AssertionError("nothing may be sent to an endpoint that left")

    endpoint = Holding("a")
    pick, _ = pick_among(endpoint)
    asked = request()
    suspect = replace(asked, context=replace(asked.context, suspect=True))
    async with endpoint.suspect_turn:
        waiting = asyncio.ensure_future(pick(suspect))
        await asyncio.sleep(0)
        endpoint.left = True
    with pytest.raises(PenstockError) as caught:
        await waiting
    assert caught.value.row.retry == "elsewhere"


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


def wide(endpoints, seed=1):
    """Picking over all of the endpoints."""
    pick, turns = pick_among(*endpoints)
    pick._rng = random.Random(seed)
    pick._apertures["m", "1"] = Aperture("worker")
    pick._apertures["m", "1"].width = len(endpoints)
    return pick, turns


def picked(pick, turns, number):
    chosen = Counter()
    for _ in range(number):
        chosen[pick.choose(request()).instance] += 1
        turns.end()
    return chosen


def test_over_many_the_better_of_two_random_ones_is_picked():
    """So the n-th best of sixteen gets 2(16 - n)/(16 * 15) of the turns: the last one nothing."""
    endpoints = [FakeEndpoint(f"e{n}", n * 1e-5) for n in range(16)]
    chosen = picked(*wide(endpoints), 24_000)
    for n, endpoint in enumerate(endpoints):
        expected = 24_000 * 2 * (15 - n) / (16 * 15)
        assert abs(chosen[endpoint.instance] - expected) <= 4 * max(expected, 1) ** 0.5


def test_two_random_choices_keep_the_longest_queue_short():
    """Mitzenmacher: n balls in n bins, log log n in the fullest; by one random choice log n."""
    endpoints = [FakeEndpoint(f"e{n}") for n in range(128)]
    pick, turns = wide(endpoints)
    for _ in range(128):
        pick.choose(request()).wait += 1.0
        turns.end()
    assert max(endpoint.wait for endpoint in endpoints) <= 4.0


def test_of_two_random_ones_an_unusable_one_is_never_picked():
    endpoints = [FakeEndpoint(f"e{n}", usable=n % 4 != 0) for n in range(16)]
    chosen = picked(*wide(endpoints), 2000)
    assert len(chosen) == 12
    assert all(endpoint.usable or not chosen[endpoint.instance] for endpoint in endpoints)


def test_apertures_of_models_that_are_gone_are_forgotten():
    served = {(name, "1"): [FakeEndpoint(f"e{n}") for n in range(4)] for name in "mno"}
    turns = Turns()
    table = SimpleNamespace(serving=lambda *key: tuple(served.get(key, ())), keeping=())
    pick = Pick(table, "worker", lambda: 0.0, turns)
    for name in "mn":
        pick.choose(replace(request(), model=name))
    del served["m", "1"]
    pick.choose(replace(request(), model="o"))
    assert set(pick._apertures) == {("n", "1"), ("o", "1")}


class Failing(FakeEndpoint):
    """Fails with `kind` until that is None, as its breaker knows."""

    def __init__(self, instance, wait=0.0, kind=Kind.INTERNAL):
        super().__init__(instance, wait)
        self.kind = kind
        self.breakers = {("m", "1"): Breaker()}

    @property
    def breaker(self):
        return self.breakers["m", "1"]

    async def __call__(self, request):
        await asyncio.sleep(0)
        now = self.clock()
        if self.kind is None:
            self.breaker.record(Verdict.GOOD, now)
            return "answer"
        busy = self.kind is Kind.OVERLOADED
        self.breaker.record(Verdict.NOTHING if busy else Verdict.BAD, now)
        raise PenstockError(self.kind, "scripted")


class Scene:
    """Endpoints that fail, a clock, and turns that end with every call."""

    def __init__(self, *endpoints):
        self.now = 0.0
        self.endpoints = endpoints
        for endpoint in endpoints:
            endpoint.clock = lambda: self.now
        self.turns = Turns()
        table = SimpleNamespace(serving=lambda *key: self.endpoints, keeping=())
        self.pick = Pick(table, "worker", lambda: self.now, self.turns)

    async def ask(self, **how):
        asked = request(**how)
        try:
            await self.pick(asked)
        except PenstockError:
            pass
        finally:
            self.turns.end()
            self.now += 2 * BURST
        return asked.context.timeline.instances[-1]


async def test_an_endpoint_that_fails_again_and_again_is_left_out():
    scene = Scene(Failing("bad"), FakeEndpoint("b", 1.0), FakeEndpoint("c", 2.0))
    asked = [await scene.ask() for _ in range(CONSECUTIVE)]
    assert asked == ["bad"] * CONSECUTIVE
    assert scene.pick.choose(request()).instance == "b"
    assert not scene.pick.has_elsewhere(request(tried=["b", "c"]))
    assert scene.pick.outliers.ejections == 1


async def test_those_who_follow_in_the_turn_of_an_ejection_go_elsewhere():
    scene = Scene(Failing("bad"), FakeEndpoint("b", 0.001))
    for _ in range(CONSECUTIVE - 1):
        await scene.ask()
    asked = request()
    with pytest.raises(PenstockError):
        await scene.pick(asked)
    assert scene.pick.choose(request()).instance == "b"


async def test_when_its_time_is_over_one_request_probes_and_an_answer_brings_it_back():
    bad = Failing("bad")
    scene = Scene(bad, Failing("b", 1.0, kind=None))
    for _ in range(CONSECUTIVE):
        await scene.ask()
    scene.now += BASE
    bad.kind = None
    probe, other = request(), request()
    probing = asyncio.ensure_future(scene.pick(probe))
    await asyncio.sleep(0)
    assert bad.breaker.state is State.HALF_OPEN
    await scene.pick(other)
    await probing
    scene.turns.end()
    assert (probe.context.timeline.instances, other.context.timeline.instances) == (["bad"], ["b"])
    assert bad.breaker.state is State.CLOSED
    assert await scene.ask() == "bad"
    assert scene.pick.outliers.troubled == {}


async def test_a_probe_ends_as_one_though_its_model_did_not_serve_for_a_moment():
    bad = Failing("bad")
    scene = Scene(bad, Failing("b", 1.0, kind=None))
    for _ in range(CONSECUTIVE):
        await scene.ask()
    scene.now += BASE
    bad.kind = None
    probing = asyncio.ensure_future(scene.pick(request()))
    await asyncio.sleep(0)
    everybody, scene.endpoints = scene.endpoints, scene.endpoints[1:]
    scene.pick.choose(request())  # while the model is loaded anew
    scene.endpoints = everybody
    await probing
    assert bad.breaker.state is State.CLOSED


async def test_a_probe_that_fails_doubles_the_time_out():
    bad = Failing("bad")
    scene = Scene(bad, Failing("b", 1.0, kind=None))
    for _ in range(CONSECUTIVE):
        await scene.ask()
    scene.now += BASE
    asked_at = scene.now
    assert await scene.ask() == "bad"
    assert bad.breaker.until == asked_at + 2 * BASE
    assert {await scene.ask() for _ in range(20)} == {"b"}


async def test_a_cancelled_probe_is_made_again():
    bad = Failing("bad")
    scene = Scene(bad, Failing("b", 1.0, kind=None))
    for _ in range(CONSECUTIVE):
        await scene.ask()
    scene.now += BASE
    probing = asyncio.ensure_future(scene.pick(request()))
    await asyncio.sleep(0)
    bad.breaker.last = Verdict.NOTHING  # as endpoints record a cancellation
    probing.cancel()
    await asyncio.gather(probing, return_exceptions=True)
    assert bad.breaker.state is State.OPEN
    scene.now += 1.0
    assert await scene.ask() == "bad"


async def test_a_suspect_never_probes():
    scene = Scene(Failing("bad"), Failing("b", 1.0, kind=None))
    for _ in range(CONSECUTIVE):
        await scene.ask()
    scene.now += BASE
    asked = request()
    assert (
        scene.pick.choose(replace(asked, context=replace(asked.context, suspect=True))).instance
        == "b"
    )


async def test_copies_are_no_probes_and_their_failures_eject_nobody():
    bad = Failing("bad")
    scene = Scene(bad, Failing("b", 1.0, kind=None))
    for _ in range(3 * CONSECUTIVE):
        await scene.ask(shadow=True)
    assert scene.pick.outliers.ejections == 0
    await scene.ask()  # a primary finds what was recorded of others
    assert bad.breaker.state is State.OPEN
    scene.now += BASE
    assert scene.pick.choose(request(shadow=True)).instance == "b"
    assert bad.breaker.state is State.OPEN


async def test_an_ejected_endpoint_is_used_when_nothing_else_can_be():
    """Ejected or gone are more than half: panic, which doubts the signs rather than the servers."""
    others = [FakeEndpoint(name, 1.0) for name in "bc"]
    scene = Scene(Failing("bad"), *others)
    for _ in range(CONSECUTIVE):
        await scene.ask()
    for other in others:
        other.usable = other.possible = False
    assert scene.pick.choose(request()).instance == "bad"
    assert scene.pick.panics == 1


def known(backends):
    """The snapshot of a mesh of these backends, all serving m with 2 ms of work a call."""
    snapshot = pb.Snapshot(revision=1)
    for n, backend in enumerate(backends):
        load = pb.Load(service_p50_us=2_000, service_p99_us=5_000)
        beat = snapshot.leases.add(state=pb.HELD).beat
        beat.CopyFrom(
            pb.Beat(
                instance=f"i{n}", epoch=1, address=backend.address, access_key=KEY, load=load,
                healthy=True, models_revision=1,
            )
        )  # fmt: skip
        beat.models.models.add(name="m", version="1", state=pb.READY)
    return snapshot


class Mesh:
    """Real exchanges with scripted backends that answer after 2 ms and what their way costs."""

    async def __aenter__(self):
        self.ways = [0.0, 0.0, 0.0]
        self.backends = [ScriptedBackend() for _ in self.ways]
        self.answering = set()
        self.writing = [asyncio.Lock() for _ in self.ways]  # a stream takes one write at a time
        for n, backend in enumerate(self.backends):
            await backend.start()
            backend.on_call = lambda call, n=n: self.answer(n, call)
        self.table = EndpointTable(Exchange)
        self.table.apply(known(self.backends))
        loop = asyncio.get_running_loop()
        self.pick = Pick(self.table, "worker", loop.time, loop.call_soon, random.Random(1))
        async with asyncio.timeout(5):
            while not all(e.usable for e in self.table.endpoints()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return self

    async def answer(self, n, call):
        async def later():
            await asyncio.sleep(0.002 + self.ways[n])
            async with self.writing[n]:
                await self.backends[n].answer(call, [n])

        task = asyncio.create_task(later())
        self.answering.add(task)
        task.add_done_callback(self.answering.discard)

    async def offer(self, seconds, rate=200.0):
        """Open-loop load; how many requests went to each instance."""
        asked, tasks = [], []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            asked.append(numbers())
            tasks.append(asyncio.ensure_future(self.pick(asked[-1])))
            await asyncio.sleep(1 / rate)
        await asyncio.gather(*tasks)
        return Counter(each.context.timeline.instances[0] for each in asked)

    async def __aexit__(self, *error):
        await self.table.close()
        for backend in self.backends:
            await backend.stop()


async def test_a_backend_slowed_by_half_a_second_gets_next_to_nothing_and_comes_back():
    async with Mesh() as mesh:
        before = await mesh.offer(0.5)
        (favourite, _), *_ = before.most_common()
        slowed = int(favourite[1])
        mesh.ways[slowed] = 0.5
        await mesh.offer(0.5)
        during = await mesh.offer(1.0)
        assert during[favourite] <= 0.05 * during.total()
        mesh.ways[slowed] = 0.0
        endpoint = mesh.table.endpoints()[slowed]
        later = time.monotonic() + 60.0
        assert endpoint.cost(later) <= endpoint.predicted_wait() + 0.001
