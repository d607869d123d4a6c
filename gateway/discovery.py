"""The discovery service: backends join by beating, the registry decides, directives go back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
from grpc import aio

from gateway.beats import Network, Wrong, check_beat
from gateway.holders import Holders
from gateway.telemetry.mesh import NO_WORK, Work, take_work
from policies.authorize import require_join
from protos import discovery_pb2 as pb
from protos.errors import PenstockError
from protos.grpc_server import register
from protos.principal import Principal
from routing.registry import Registry

log = logging.getLogger(__name__)

Authenticate = Callable[[str], Principal]  # the value of an Authorization header

MAX_BEAT_BYTES = 4 * 1024 * 1024
# A stream's next beat is read no sooner, so that a flood of them waits in its sender.
LEAST_PAUSE = 0.02  # seconds
# The table is looked at twice a second, unless this process is stopped or its machine paused.
STALLED = 1.5  # seconds


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
        self._holders = Holders(registry.lease)
        self.left = 0  # backends that said goodbye
        self._changed = asyncio.Event()

    def register(self, server: aio.Server) -> None:
        """Adds the service to a server."""
        join = grpc.stream_stream_rpc_method_handler(
            self._join,
            request_deserializer=pb.Beat.FromString,
            response_serializer=pb.Directive.SerializeToString,
        )
        register(server, "penstock.v1.Discovery", {"Join": join})

    async def run(self, publish: Callable[[pb.Snapshot], Awaitable[None] | None]) -> None:
        """Expires leases and publishes a snapshot whenever something changed; until cancelled."""
        published, looked = -1, self._clock()
        while True:
            now = self._clock()
            if now - looked > STALLED:
                log.warning("stood still for %.1f s: leases are longer by that", now - looked)
                self.registry.excuse(now - looked, now)
            looked = now
            for instance in self.registry.expire(self._clock()):
                log.warning("evicted %s: its lease is over", instance)
                self._forget(instance)
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
            sender = self._authorise(context)
        except PenstockError as error:
            self._stranger("discovery", peer, error)
            log.warning("refused a backend from %s: %s", peer, error.message)
            await context.abort(error.row.grpc, error.message)
        joined: tuple[str, int] | None = None
        try:
            async for beat in beats:
                refused = self._refusal(beat, joined, sender)
                if refused is not None:
                    log.warning(
                        "refused a beat of %.128r from %s: %s", beat.instance, peer, refused
                    )
                    known = self.registry.epoch_of(beat.instance)
                    yield pb.Directive(refused=refused, known_epoch=known)
                    return
                if joined is None:
                    log.info("%s joined: %s at %s", beat.instance, beat.runtime, beat.address)
                joined = (beat.instance, beat.epoch)
                self._changed.set()
                ttl = int(self.registry.lease * 1000)
                yield pb.Directive(lease_ttl_ms=ttl, drain=beat.instance in self._drains)
                await asyncio.sleep(LEAST_PAUSE)
        finally:
            if joined is not None:
                self._left(joined)

    def _left(self, joined: tuple[str, int]) -> None:
        """A stream that ends while draining is a goodbye; any other end makes a suspect."""
        instance, epoch = joined
        if self.registry.is_draining(instance, epoch):
            self._drains.discard(instance)
            self.registry.leave(instance, epoch)
            self._forget(instance)
            self.left += 1
            log.info("%s left", instance)
        else:
            self.registry.disconnected(instance, epoch)
        self._changed.set()

    def _authorise(self, context: "aio.ServicerContext[pb.Beat, pb.Directive]") -> Principal:
        values = [
            value
            for key, value in (context.invocation_metadata() or ())
            if key == "authorization" and isinstance(value, str)
        ]
        sender = self._authenticate(values[0] if len(values) == 1 else "")
        require_join(sender)
        return sender

    def _refusal(
        self, beat: pb.Beat, joined: tuple[str, int] | None, sender: Principal
    ) -> str | None:
        """Why the beat is not taken, or None when the lease was extended."""
        try:
            check_beat(beat, sender, self._allowed)
        except Wrong as wrong:
            return str(wrong)
        if joined is not None and joined != (beat.instance, beat.epoch):
            return "instance: one stream speaks for one instance and one epoch"
        now = self._clock()
        who = (beat.instance, f"{sender.issuer}\0{sender.subject}", beat.access_key)
        size = beat.models.ByteSize() if beat.HasField("models") else 0
        refused = self._holders.fault(*who, size, now)
        if refused is not None:
            return refused
        work = take_work(beat)
        refused = self.registry.beat(beat, now)
        if refused is None:
            self._holders.took(*who, size, now)
            self._work[beat.instance] = work
        return refused

    def _forget(self, instance: str) -> None:
        self._holders.forget(instance)
        self._work.pop(instance, None)
