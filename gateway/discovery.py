"""The discovery service: backends join by beating, the registry decides, directives go back."""

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import IPv4Network, IPv6Network

import grpc
from grpc import aio

from gateway.telemetry.mesh import NO_WORK, Work, take_work
from policies.authorize import require_scope
from protos import discovery_pb2 as pb
from protos.errors import PenstockError
from protos.principal import Principal
from routing.registry import Registry

log = logging.getLogger(__name__)

Network = IPv4Network | IPv6Network
Authenticate = Callable[[str], Principal]  # the value of an Authorization header

MAX_BEAT_BYTES = 4 * 1024 * 1024
MAX_INSTANCES = 10_000


class Discovery:
    """Serves `penstock.v1.Discovery` and keeps one snapshot of the mesh for everybody else."""

    def __init__(
        self,
        registry: Registry,
        authenticate: Authenticate,
        allowed: tuple[Network, ...],
        clock: Callable[[], float],
        stranger: Callable[[str, str, PenstockError], None] = lambda face, peer, error: None,
    ) -> None:
        self.registry = registry
        self._authenticate = authenticate
        self._allowed = allowed
        self._clock = clock
        self._stranger = stranger
        self._drains: set[str] = set()
        self._work: dict[str, Work] = {}
        self.left = 0  # backends that said goodbye
        self._changed = asyncio.Event()

    def handler(self) -> grpc.GenericRpcHandler:
        join = grpc.stream_stream_rpc_method_handler(
            self._join,
            request_deserializer=pb.Beat.FromString,
            response_serializer=pb.Directive.SerializeToString,
        )
        return grpc.method_handlers_generic_handler("penstock.v1.Discovery", {"Join": join})

    async def run(self, publish: Callable[[pb.Snapshot], Awaitable[None] | None]) -> None:
        """Expires leases and publishes a snapshot whenever something changed; until cancelled."""
        published = -1
        while True:
            for instance in self.registry.expire(self._clock()):
                log.warning("evicted %s: its lease is over", instance)
                self._work.pop(instance, None)
            if self.registry.revision != published:
                published = self.registry.revision
                done = publish(self.registry.snapshot(self._clock()))
                if done is not None:
                    await done
            self._changed.clear()
            # Suspicion grows without any event, so the table is looked at twice a second anyway.
            try:
                async with asyncio.timeout(0.5):
                    await self._changed.wait()
            except TimeoutError:
                self.registry.revision += 1
            # Beats of many backends that come together make one snapshot.
            await asyncio.sleep(0.01)

    def drain(self, instance: str) -> None:
        """Tells an instance, with the answer to its next beat, to finish and take no more."""
        self._drains.add(instance)

    def work(self, instance: str) -> Work:
        """What it has done, as its last beat told."""
        return self._work.get(instance, NO_WORK)

    async def _join(
        self,
        beats: AsyncIterator[pb.Beat],
        context: "aio.ServicerContext[pb.Beat, pb.Directive]",
    ) -> AsyncIterator[pb.Directive]:
        peer = context.peer()
        try:
            self._authorise(context)
        except PenstockError as error:
            self._stranger("discovery", peer, error)
            log.warning("refused a backend from %s: %s", peer, error.message)
            await context.abort(error.row.grpc, error.message)
        joined: tuple[str, int] | None = None
        try:
            async for beat in beats:
                work = take_work(beat)
                refused = self._refusal(beat, joined)
                if refused is not None:
                    log.warning("refused a beat of %s from %s: %s", beat.instance, peer, refused)
                    yield pb.Directive(refused=refused)
                    return
                if joined is None:
                    log.info("%s joined: %s at %s", beat.instance, beat.runtime, beat.address)
                joined = (beat.instance, beat.epoch)
                self._work[beat.instance] = work
                self._changed.set()
                ttl = int(self.registry.lease * 1000)
                yield pb.Directive(lease_ttl_ms=ttl, drain=beat.instance in self._drains)
        finally:
            if joined is not None:
                self._left(joined)

    def _left(self, joined: tuple[str, int]) -> None:
        """A stream that ends while draining is a goodbye; any other end makes a suspect."""
        instance, epoch = joined
        if self.registry.is_draining(instance, epoch):
            self._drains.discard(instance)
            self.registry.leave(instance, epoch)
            self._work.pop(instance, None)
            self.left += 1
            log.info("%s left", instance)
        else:
            self.registry.disconnected(instance, epoch)
        self._changed.set()

    def _authorise(self, context: "aio.ServicerContext[pb.Beat, pb.Directive]") -> None:
        values = [
            value
            for key, value in (context.invocation_metadata() or ())
            if key == "authorization" and isinstance(value, str)
        ]
        require_scope(self._authenticate(values[0] if len(values) == 1 else ""), "backend:join")

    def _refusal(self, beat: pb.Beat, joined: tuple[str, int] | None) -> str | None:
        if not beat.instance or len(beat.instance) > 128:
            return "instance: must be 1 to 128 characters"
        if joined is not None and joined != (beat.instance, beat.epoch):
            return "instance: one stream speaks for one instance and one epoch"
        if joined is None and len(self.registry) >= MAX_INSTANCES:
            return f"this mesh holds {MAX_INSTANCES} instances already"
        host, _, port = beat.address.rpartition(":")
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return f"address: {beat.address!r} is not IP:port"
        if not port.isdigit() or not 0 < int(port) < 65536:
            return f"address: {beat.address!r} has no valid port"
        if not any(address in network for network in self._allowed):
            return f"address: {address} is outside the networks that backends may join from"
        return self.registry.beat(beat, self._clock())
