"""Backends join gateways over real gRPC: heartbeat at one end, discovery at the other."""

import asyncio
import ipaddress
import time
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext

import pytest
from grpc import aio

from backends import heartbeat as heartbeat_module
from backends.heartbeat import Heartbeat
from gateway.discovery import LEAST_PAUSE, LOADS_WAIT, Discovery
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from routing.registry import Registry

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
TOKENS = {
    "Bearer may-join": Principal("b", "t", frozenset({"backend:join"})),
    "Bearer somebody-else": Principal("e", "else", frozenset({"backend:join"})),
    "Bearer may-join-as-fraud": Principal("f", "t", frozenset({"backend:join:fraud-*"})),
    "Bearer may-infer": Principal("c", "t", frozenset({"infer:*"})),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(heartbeat_module, "BEAT_INTERVAL", 0.05)
    monkeypatch.setattr(heartbeat_module, "RESOLVE_INTERVAL", 0.1)


def authenticate(authorization):
    principal = TOKENS.get(authorization)
    if principal is None:
        raise PenstockError(Kind.UNAUTHENTICATED, "who?")
    return principal


class Watched(Discovery):
    """`ended` counts the streams whose end was noticed."""

    ended = 0

    def _left(self, joined, stream):
        super()._left(joined, stream)
        self.ended += 1


class Mesh:
    """A discovery service; `snapshots` are what it published."""

    def __init__(self, lease=5.0, beat=0.05, allowed=LOOPBACK):
        self.registry = Registry(lease, beat)
        self.ahead = 0.0  # seconds in which this process stood still
        self.time = time.monotonic
        clock = lambda: self.time() + self.ahead  # noqa: E731
        self.discovery = Watched(self.registry, authenticate, allowed, clock)
        self.snapshot = pb.Snapshot()
        self.published = []
        self.port = 0

    @asynccontextmanager
    async def serving(self, port=0, host="127.0.0.1", *, watched=True):
        server = aio.server(options=[("grpc.so_reuseport", 0)])
        self.discovery.register(server)
        self.port = server.add_insecure_port(f"{host}:{port}")
        await server.start()
        try:
            async with self.watched() if watched else nullcontext():
                yield self
        finally:
            await server.stop(None)

    @asynccontextmanager
    async def watched(self):
        """Leases end and snapshots are published."""
        task = asyncio.create_task(self.discovery.run(self._publish))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _publish(self, snapshot):
        self.snapshot = snapshot
        self.published.append(snapshot)

    def epochs(self):
        return {lease.beat.instance: lease.beat.epoch for lease in self.snapshot.leases}

    def states(self):
        return {lease.beat.instance: lease.state for lease in self.snapshot.leases}

    async def until(self, condition, seconds=5.0):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


class Backend:
    def __init__(self, tmp_path, names, token="may-join", address="127.0.0.1:9", name="b", epoch=1):
        self.name, self.epoch = name, epoch
        self.draining = False
        self.drained = asyncio.Event()
        self.models_revision = 1
        self.address = address
        file = tmp_path / "token"
        file.write_text(token)
        self.heartbeat = Heartbeat(names, self.beat, token_file=file, on_drain=self.drained.set)

    def beat(self, with_models):
        beat = pb.Beat(
            instance=self.name,
            epoch=self.epoch,
            access_key=str(id(self)),
            address=self.address,
            models_revision=self.models_revision,
            draining=self.draining,
            healthy=True,
        )
        if with_models:
            beat.models.models.add(name=f"m{self.models_revision}", version="1", state=pb.READY)
        return beat

    @asynccontextmanager
    async def beating(self):
        task = asyncio.create_task(self.heartbeat.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_backend_joins_and_stays(tmp_path):
    async with Mesh(lease=0.5).serving() as mesh:
        async with Backend(tmp_path, (f"127.0.0.1:{mesh.port}",)).beating():
            await mesh.until(lambda: mesh.states() == {"b": pb.HELD})
            await asyncio.sleep(0.8)
            assert mesh.states() == {"b": pb.HELD}
            assert mesh.registry.evictions == 0


async def test_a_backend_that_vanishes_is_suspect_at_once_and_then_gone(tmp_path):
    async with Mesh(lease=0.4).serving() as mesh:
        names = (f"127.0.0.1:{mesh.port}",)
        async with Backend(tmp_path, names, name="stays").beating():
            async with Backend(tmp_path, names).beating():
                await mesh.until(lambda: mesh.states() == dict.fromkeys(("b", "stays"), pb.HELD))
            await mesh.until(lambda: mesh.states() == {"b": pb.SUSPECT, "stays": pb.HELD}, 0.3)
            await mesh.until(lambda: mesh.states() == {"stays": pb.HELD})


async def test_one_backend_joins_every_gateway_that_it_knows(tmp_path):
    async with Mesh().serving() as one, Mesh().serving() as two:
        names = (f"127.0.0.1:{one.port}", f"127.0.0.1:{two.port}")
        async with Backend(tmp_path, names).beating():
            for mesh in (one, two):
                await mesh.until(lambda mesh=mesh: mesh.states() == {"b": pb.HELD})


async def test_names_are_resolved_again(tmp_path, monkeypatch):
    addresses = ["127.0.0.1"]

    async def getaddrinfo(host, port, **_):
        assert host == "gateways.internal"
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    async with Mesh().serving() as one, Mesh().serving(one.port, "127.0.0.2") as two:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        async with Backend(tmp_path, (f"gateways.internal:{one.port}",)).beating():
            await one.until(lambda: one.states() == {"b": pb.HELD})
            addresses[:] = ["127.0.0.2"]
            await two.until(lambda: two.states() == {"b": pb.HELD})
            await one.until(lambda: one.states() != {"b": pb.HELD})


async def test_a_gateway_that_restarts_is_healed_by_the_backends_alone(tmp_path):
    mesh = Mesh()
    async with mesh.serving():
        port = mesh.port
        backend = Backend(tmp_path, (f"127.0.0.1:{port}",))
        async with backend.beating():
            await mesh.until(lambda: mesh.states() == {"b": pb.HELD})
    again = Mesh()
    async with backend.beating():
        await asyncio.sleep(0.2)
        async with again.serving(port):
            await again.until(lambda: again.states() == {"b": pb.HELD}, 2.0)


async def test_a_gateway_that_stood_still_forgets_nobody():
    """Beats that waited are read before anything else is done: they are judged by the same time."""
    mesh = Mesh(beat=1.0)
    mesh.time = lambda: 100.0
    async with mesh.serving(watched=False), AsyncExitStack() as stack:
        owners = [await stack.enter_async_context(joining(name)(mesh)) for name in "abcd"]
        for owner in owners:
            assert not (await owner()).refused
        for seconds in (0.0, 60.0, 60.8):  # a standstill of a beat, too
            mesh.ahead = seconds
            for owner in owners[:3]:
                assert not (await owner()).refused
            now = mesh.time() + mesh.ahead
            assert mesh.registry.expire(now) == []
            assert not mesh.registry.self_preservation
            leases = mesh.registry.snapshot(now).leases
            assert [lease.state for lease in leases] == [pb.HELD] * 4


async def test_a_gateway_that_stood_still_says_so_before_it_looks_at_leases():
    mesh = Mesh(beat=1.0)
    mesh.time = lambda: 100.0
    async with mesh.serving(watched=False), AsyncExitStack() as stack:
        for name in "abcd":
            owner = await stack.enter_async_context(joining(name)(mesh))
            assert not (await owner()).refused
        mesh.ahead = 60.0
        async with mesh.watched():
            await mesh.until(lambda: mesh.published)
        first = mesh.published[0]
        assert [lease.state for lease in first.leases] == [pb.HELD] * 4
        assert not first.self_preservation


async def test_loads_alone_are_published_ten_times_a_second():
    """However slow this machine is, no more often than the time has room for."""
    async with Mesh(beat=1.0).serving() as mesh, joining()(mesh) as owner:
        await owner()
        await mesh.until(lambda: mesh.states() == {"a": pb.HELD})
        before, began = len(mesh.published), time.monotonic()
        for _ in range(20):
            await owner(models=None)
        room = (time.monotonic() - began) / LOADS_WAIT
        assert len(mesh.published) - before <= room + 2


async def test_a_backend_whose_clock_was_set_back_replaces_its_former_self(tmp_path):
    async with Mesh().serving() as one, Mesh().serving() as two:
        names = (f"127.0.0.1:{one.port}", f"127.0.0.1:{two.port}")
        async with Backend(tmp_path, names[:1], epoch=1000).beating():
            await one.until(lambda: one.states() == {"b": pb.HELD})
        async with Backend(tmp_path, names, epoch=5).beating():
            for mesh in (one, two):
                await mesh.until(lambda mesh=mesh: mesh.epochs() == {"b": 1001})
                await mesh.until(lambda mesh=mesh: mesh.states() == {"b": pb.HELD})


async def test_a_backend_that_was_replaced_does_not_come_back(tmp_path):
    async with Mesh().serving() as mesh:
        names = (f"127.0.0.1:{mesh.port}",)
        async with Backend(tmp_path, names, epoch=5).beating():
            await mesh.until(lambda: mesh.epochs() == {"b": 5})
            async with Backend(tmp_path, names, epoch=6).beating():
                await mesh.until(lambda: mesh.epochs() == {"b": 6})
                await asyncio.sleep(0.5)
                assert mesh.epochs() == {"b": 6}
                assert mesh.states() == {"b": pb.HELD}


async def test_an_old_process_does_not_take_its_name_back_at_a_new_gateway(tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat_module, "NEW", 0.0)
    async with Mesh().serving() as one, Mesh().serving() as two:
        names = (f"127.0.0.1:{one.port}", f"127.0.0.1:{two.port}")
        async with Backend(tmp_path, names[1:], epoch=6).beating():
            await two.until(lambda: two.epochs() == {"b": 6})
            async with Backend(tmp_path, names[:1], epoch=5).beating() as old:
                await one.until(lambda: one.epochs() == {"b": 5})
                old.heartbeat._names = names
                await asyncio.sleep(0.5)
                assert (one.epochs(), two.epochs()) == ({"b": 5}, {"b": 6})


async def test_a_changed_model_table_is_sent_with_the_next_beat(tmp_path):
    async with Mesh().serving() as mesh:
        async with Backend(tmp_path, (f"127.0.0.1:{mesh.port}",)).beating() as backend:
            await mesh.until(lambda: mesh.states() == {"b": pb.HELD})
            backend.models_revision = 2
            backend.heartbeat.beat_now()
            await mesh.until(lambda: mesh.snapshot.leases[0].beat.models.models[0].name == "m2")


async def test_draining_is_ordered_by_the_gateway_and_ends_with_a_goodbye(tmp_path):
    async with Mesh().serving() as mesh:
        async with Backend(tmp_path, (f"127.0.0.1:{mesh.port}",)).beating() as backend:
            await mesh.until(lambda: mesh.states() == {"b": pb.HELD})
            mesh.discovery.drain("b")
            async with asyncio.timeout(2):
                await backend.drained.wait()
            backend.draining = True
            backend.heartbeat.beat_now()
            await mesh.until(lambda: mesh.snapshot.leases[0].beat.draining)
        await mesh.until(lambda: mesh.states() == {}, 1.0)


@pytest.mark.parametrize("token", ["may-infer", "nobody"])
async def test_joining_takes_the_right_to(tmp_path, token):
    async with Mesh().serving() as mesh:
        async with Backend(tmp_path, (f"127.0.0.1:{mesh.port}",), token).beating():
            await asyncio.sleep(0.3)
            assert mesh.states() == {}


@pytest.mark.parametrize("address", ["10.1.2.3:80", "localhost:80", "127.0.0.1", "127.0.0.1:0"])
async def test_an_address_outside_the_allowed_networks_is_refused(tmp_path, address):
    async with Mesh().serving() as mesh:
        names = (f"127.0.0.1:{mesh.port}",)
        async with Backend(tmp_path, names, address=address).beating():
            await asyncio.sleep(0.2)
            assert mesh.states() == {}


def joining(instance="a", token="may-join", **fields):
    """Beats by hand, and the answer to the last of them."""

    def beat(**more):
        given = {"epoch": 1, "address": "127.0.0.1:9", "access_key": "k", "healthy": True}
        made = pb.Beat(instance=instance, **{**given, **fields, **more})
        if "models" not in {**fields, **more}:
            made.models.models.add(name="m", version="1", state=pb.READY)
        return made

    @asynccontextmanager
    async def stream(mesh):
        async with aio.insecure_channel(f"127.0.0.1:{mesh.port}") as channel:
            call = channel.stream_stream(
                "/penstock.v1.Discovery/Join",
                request_serializer=pb.Beat.SerializeToString,
                response_deserializer=pb.Directive.FromString,
            )(metadata=[("authorization", f"Bearer {token}")])

            async def send(**more):
                await call.write(beat(**more))
                return await call.read()

            yield send

    return stream


async def test_somebody_elses_instance_is_not_taken_over_while_it_lives():
    async with Mesh().serving() as mesh:
        async with joining()(mesh) as owner:
            assert not (await owner()).refused
            async with joining(token="somebody-else", epoch=2**60, access_key="x")(mesh) as other:
                assert (await other()).refused == "instance a is held by somebody else"
            async with joining(epoch=2, access_key="its next start")(mesh) as again:
                assert not (await again()).refused
            assert "stale" in (await owner()).refused


async def test_a_token_for_some_models_joins_with_those_alone():
    async with Mesh().serving() as mesh:
        async with joining(token="may-join-as-fraud")(mesh) as backend:
            why = 'models: the token isn\'t for backends of "m"'
            assert (await backend()).refused == why
        models = pb.ModelTable(models=[pb.Model(name="fraud-eu", version="1", state=pb.READY)])
        async with joining(token="may-join-as-fraud", models=models)(mesh) as backend:
            assert not (await backend()).refused
        assert len(mesh.registry) == 1


async def test_a_name_is_its_owners_while_it_is_kept_for_it():
    """The only backend is silent for longer than its lease, which self-preservation extends."""
    async with Mesh(lease=0.4).serving() as mesh:
        async with joining()(mesh) as owner:
            assert not (await owner()).refused
            mesh.registry.expire(time.monotonic())
            await mesh.until(lambda: mesh.registry.overdue("a", time.monotonic()))
            await mesh.until(lambda: mesh.registry.self_preservation)
            async with joining(token="somebody-else", epoch=2**60, access_key="x")(mesh) as other:
                answer = await other()
                assert answer.refused == "instance a is held by somebody else"
                assert answer.known_epoch == 0
            assert not (await owner()).refused


async def test_an_epoch_is_told_to_whose_own_is_not_later_and_to_nobody_else():
    async with Mesh().serving() as mesh:
        async with joining(epoch=7)(mesh) as owner:
            assert not (await owner()).refused
            async with joining(epoch=6)(mesh) as former:
                assert (await former()).known_epoch == 7
            async with joining(epoch=7, access_key="of another process")(mesh) as twin:
                assert (await twin()).known_epoch == 7
            async with joining(address="10.0.0.1:80")(mesh) as elsewhere:
                answer = await elsewhere()
                assert answer.refused
                assert answer.known_epoch == 0


async def test_the_end_of_a_former_stream_says_nothing_of_a_process_that_has_joined_anew():
    async with Mesh().serving() as mesh:
        async with AsyncExitStack() as half_open:
            former = await half_open.enter_async_context(joining()(mesh))
            assert not (await former()).refused
            async with joining()(mesh) as anew:
                for draining in (False, True):
                    assert not (await anew(draining=draining)).refused
                await half_open.aclose()
                await mesh.until(lambda: mesh.discovery.ended == 1)
                assert len(mesh.registry) == 1
                assert mesh.registry.snapshot(time.monotonic()).leases[0].state == pb.HELD
                assert not (await anew(draining=True)).refused
        await mesh.until(lambda: len(mesh.registry) == 0)
        assert mesh.discovery.left == 1


async def test_an_order_to_drain_is_for_one_process():
    async with Mesh().serving() as mesh:
        async with joining()(mesh) as backend:
            await backend()
            mesh.discovery.drain("a")
            assert (await backend()).drain
        async with joining(epoch=2, access_key="of its next start")(mesh) as again:
            assert not (await again()).drain


async def test_a_model_that_cannot_be_costs_the_others_nothing():
    table = pb.ModelTable(
        models=[
            pb.Model(name="good", version="1", state=pb.READY),
            pb.Model(name="odd", version="1", state=99),
            pb.Model(name="a\nb"),
        ]
    )
    async with Mesh().serving() as mesh:
        async with joining(models=table)(mesh) as backend:
            assert not (await backend()).refused
            await mesh.until(lambda: mesh.states() == {"a": pb.HELD})
            told = mesh.snapshot.leases[0].beat.models.models
            assert [(each.name, each.state) for each in told] == [
                ("good", pb.READY),
                ("odd", pb.UNAVAILABLE),
            ]


async def test_what_a_backend_tells_of_others_models_is_not_kept():
    told = {"activity": [pb.ModelActivity(model=name, version="1") for name in ("m", "other")]}
    async with Mesh().serving() as mesh:
        async with joining(**told)(mesh) as backend:
            assert not (await backend()).refused
            assert [each.model for each in mesh.discovery.work("a").activity] == ["m"]


async def test_a_beat_that_cannot_be_leaves_nothing_behind():
    async with Mesh().serving() as mesh:
        async with joining(instance="a\nb")(mesh) as backend:
            assert (await backend()).refused.startswith("instance: must be")
        assert len(mesh.registry) == 0
        assert mesh.discovery.refused == 1


async def test_who_is_evicted_has_to_show_a_token_that_is_still_good(monkeypatch):
    async with Mesh().serving() as mesh:
        async with joining()(mesh) as backend:
            assert not (await backend()).refused
            monkeypatch.delitem(TOKENS, "Bearer may-join")
            assert not (await backend()).refused
            mesh.discovery.evict("a")
            assert len(mesh.registry) == 0
            assert (await backend()).refused == "instance: its lease is over, it must join again"
        with pytest.raises(aio.AioRpcError, match=r"who\?"):
            async with joining()(mesh) as again:
                await again()
        assert len(mesh.registry) == 0


async def test_a_flood_of_beats_waits_in_its_sender():
    """However slow this machine is, no more are taken than the time has room for."""
    async with Mesh().serving() as mesh:
        async with joining()(mesh) as backend:
            began = time.monotonic()
            for _ in range(10):
                assert not (await backend()).refused
            assert time.monotonic() - began >= 9 * LEAST_PAUSE * 0.9
