"""The discovery service: backends join by beating, the registry decides, directives go back."""

import asyncio
import itertools
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import grpc
from grpc import aio

from gateway.beats import Network, believe, keep_own
from gateway.holders import Claim, Holders, name_of
from gateway.table_pace import TablePace
from gateway.telemetry.mesh import NO_WORK, Work, take_work
from gateway.told_models import Wrong
from policies.authorize import require_join
from protos import discovery_pb2 as pb
from protos.errors import PenstockError
from protos.grpc_server import register
from protos.principal import Principal
from routing.registry import Registry

log = logging.getLogger(__name__)

Authenticate = Callable[[str], Principal]  # the value of an Authorization header

# A stream's next beat is read no sooner, so that a flood of them waits in its sender; after a large
# one no sooner than in many times the time that reading it took.
LEAST_PAUSE = 0.02  # seconds
PAUSE_A_BYTE = 1e-6
# Each snapshot is the whole mesh for every worker: loads wait for so long, changes do not.
LOADS_WAIT = 0.1  # seconds
SUSPICION_WAITS = 0.5  # seconds; it grows without any event
# The table is looked at ten times a second, unless this process is stopped or its machine paused.
STALLED = 0.5  # seconds


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
        self._looked = math.inf  # nobody is held yet, whom a standstill might do wrong
        self._stranger = stranger
        self._drains: dict[str, int] = {}  # the epoch that is to drain, by instance
        self._work: dict[str, Work] = {}
        self._holders = Holders()
        self._pace = TablePace()
        self._streams = itertools.count()
        self.left = 0  # backends that said goodbye
        self.refused = 0  # beats
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
        published, told_at = -1, -math.inf
        while True:
            now = self._look()
            for instance in self.registry.expire(now):
                log.warning("evicted %s: its lease is over", instance)
                self._forget(instance)
            self._pace.tidy(now)
            if now - told_at >= SUSPICION_WAITS:
                self.registry.revision += 1
            if self.registry.revision != published:
                published, told_at = self.registry.revision, now
                done = publish(self.registry.snapshot(now))
                if done is not None:
                    await done
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOADS_WAIT):
                    await self._changed.wait()
            # Changes of many backends that come together make one snapshot.
            await asyncio.sleep(0.01)

    def _look(self) -> float:
        """The time by which beats and leases are judged; whoever comes first excuses a standstill.

        Beats that waited meanwhile are mostly read before `run` goes on.
        """
        now = self._clock()
        if now - self._looked > STALLED:
            log.warning("stood still for %.1f s: leases are longer by that", now - self._looked)
            self.registry.excuse(now - self._looked, now)
        self._looked = now
        return now

    def drain(self, instance: str) -> None:
        """Tells the process that holds the instance, with its next beat, to finish what it has."""
        self._drains[instance] = self.registry.epoch_of(instance)

    def evict(self, instance: str) -> None:
        """Ends its lease and its streams: to come back, it has to show a token that is good."""
        self.registry.leave(instance, self.registry.epoch_of(instance))
        self._forget(instance)
        self._changed.set()

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
        stream = next(self._streams)
        joined: tuple[str, int] | None = None
        try:
            async for beat in beats:
                if beat.HasField("models"):
                    wait = self._pace.wait(name_of(sender), beat.models, self._clock())
                    await asyncio.sleep(wait)
                size = beat.ByteSize()
                refused = self._refusal(beat, joined, sender, stream)
                if refused is not None:
                    self.refused += 1
                    log.warning(
                        "refused a beat of %.128r from %s: %s", beat.instance, peer, refused.refused
                    )
                    yield refused
                    return
                if joined is None:
                    log.info("%s joined: %s at %s", beat.instance, beat.runtime, beat.address)
                joined = (beat.instance, beat.epoch)
                ttl = int(self.registry.lease * 1000)
                drain = self._drains.get(beat.instance) == beat.epoch
                yield pb.Directive(lease_ttl_ms=ttl, drain=drain)
                await asyncio.sleep(max(LEAST_PAUSE, size * PAUSE_A_BYTE))
        finally:
            if joined is not None:
                self._left(joined, stream)

    def _left(self, joined: tuple[str, int], stream: int) -> None:
        """A stream that ends while draining is a goodbye; any other end makes a suspect.

        A process that has joined anew on another stream goes on: this was only its former one.
        """
        instance, epoch = joined
        if not self._holders.speaks(instance, epoch, stream):
            return
        if self.registry.is_draining(instance, epoch):
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
        self, beat: pb.Beat, joined: tuple[str, int] | None, sender: Principal, stream: int
    ) -> pb.Directive | None:
        """What the sender is told if the beat is not taken; None when the lease was extended."""
        # As it came: memory of what is dropped stays with the rest.
        table = beat.models.ByteSize() if beat.HasField("models") else 0
        rest = beat.ByteSize() - table
        try:
            wrongs = believe(beat, sender, self._allowed)
        except Wrong as wrong:
            return pb.Directive(refused=str(wrong))
        if joined is not None and joined != (beat.instance, beat.epoch):
            return pb.Directive(refused="instance: one stream speaks for one instance and epoch")
        if joined is not None and not self._holders.holds(beat.instance):
            return pb.Directive(refused="instance: its lease is over, it must join again")
        now = self._look()
        claim = Claim(
            beat.instance,
            sender,
            beat.access_key,
            beat.epoch,
            stream,
            table,
            rest,
        )
        refused = self._holders.fault(claim, self.registry.overdue(beat.instance, now))
        if refused is not None:
            return pb.Directive(refused=refused)
        known, changes = self.registry.epoch_of(beat.instance), self.registry.changes
        refused = self.registry.beat(beat, now)
        if refused is not None:
            # A later epoch helps against nothing but one that isn't later than what is known.
            stale = beat.epoch <= known
            return pb.Directive(refused=refused, known_epoch=known if stale else 0)
        if self.registry.changes != changes:
            self._changed.set()
        keep_own(beat, beat.models)
        self._holders.took(claim)
        self._work[beat.instance] = take_work(beat)
        if wrongs:
            log.warning(
                "%s tells of %d models that can't be; %s", beat.instance, len(wrongs), wrongs[0]
            )
        return None

    def _forget(self, instance: str) -> None:
        self._holders.forget(instance)
        self._work.pop(instance, None)
        self._drains.pop(instance, None)
