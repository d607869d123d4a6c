"""Makes a backend known: joins every gateway that its list of names resolves to, and beats.

There is no registry behind this: a gateway that restarts hears everything again from the backends,
within a beat of being reachable.
"""

import asyncio
import contextlib
import ipaddress
import logging
import random
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc import aio

from protos import discovery_pb2 as pb
from protos.tls_files import Followed

log = logging.getLogger(__name__)

METHOD = "/penstock.v1.Discovery/Join"
BEAT_INTERVAL = 1.0  # seconds
RESOLVE_INTERVAL = 5.0
# For so long a process counts as just started: until all gateways that there are have been found.
NEW = 2 * RESOLVE_INTERVAL  # seconds since the first one let it in
CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
    # A gateway that restarts must hear from us within two beats.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]

MAX_EPOCH = 2**62  # gateways take none from there on

# Makes the next beat; told whether the model table must be in it.
MakeBeat = Callable[[bool], pb.Beat]


@dataclass(slots=True, eq=False)
class _Gateway:
    """One address, for as long as the names resolve to it."""

    address: str
    host: str  # the name that a certificate must bear
    let_in: bool = False  # at any time
    refused: str = ""  # why it last did


class Heartbeat:
    """Joins all gateways behind `names` (host:port each) until it is cancelled."""

    def __init__(
        self,
        names: tuple[str, ...],
        make_beat: MakeBeat,
        *,
        token_file: Path | None,
        credentials: Followed[grpc.ChannelCredentials] | None = None,
        on_drain: Callable[[], None],
        rng: random.Random | None = None,
    ) -> None:
        self._names = names
        self._make_beat = make_beat
        self._token_file = token_file
        self._credentials = credentials
        self._on_drain = on_drain
        self._rng = rng or random.Random()  # noqa: S311 (jitter, not a secret)
        self._gateways: dict[str, _Gateway] = {}
        self._joins: dict[str, asyncio.Task[None]] = {}
        self._resolved: dict[str, set[str]] = {}  # a name's addresses when it last resolved
        self._now = asyncio.Event()
        self._epoch = 0  # at least this one is beaten with
        self._since: float | None = None  # when the first gateway let this process in
        self.joined: set[str] = set()
        # Whether some gateway has ever let this process in, and none says that it was replaced.
        self.known = not names

    async def run(self) -> None:
        """Keeps one join for each address that the names resolve to at the moment."""
        try:
            while True:
                hosts = await self._resolve()
                for address in self._joins.keys() - hosts.keys():
                    self._joins.pop(address).cancel()
                    # Whoever is met there again may be another gateway.
                    del self._gateways[address]
                for address in hosts.keys() - self._joins.keys():
                    gateway = self._gateways[address] = _Gateway(address, hosts[address])
                    self._joins[address] = asyncio.create_task(self._join(gateway))
                await asyncio.sleep(RESOLVE_INTERVAL if self.joined else BEAT_INTERVAL)
        finally:
            for task in self._joins.values():
                task.cancel()
            await asyncio.gather(*self._joins.values(), return_exceptions=True)
            self._joins.clear()
            self._gateways.clear()

    def beat_now(self) -> None:
        """Tells every gateway at once; for changes that should not wait for the next second."""
        self._now.set()
        self._now = asyncio.Event()

    async def _resolve(self) -> dict[str, str]:
        """All addresses, with their names; one that can't be resolved for now keeps what it had."""
        loop = asyncio.get_running_loop()
        for name in self._names:
            host, _, port = name.rpartition(":")
            try:
                infos = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            except OSError as error:
                log.warning("can't resolve the gateway's name %s: %s", host, error)
                continue
            self._resolved[name] = {_host_port(str(info[4][0]), port) for info in infos}
        return {
            address: name.rpartition(":")[0]
            for name, addresses in self._resolved.items()
            for address in addresses
        }

    async def _join(self, gateway: _Gateway) -> None:
        address, failures = gateway.address, 0
        while True:
            try:
                welcome = await self._stream(gateway)
                failures = 0 if welcome else failures + 1
            except aio.AioRpcError as error:
                if failures == 0 or error.code() != grpc.StatusCode.UNAVAILABLE:
                    log.warning("lost gateway %s: %s", address, error.code().name)
                failures += 1
            except OSError as error:  # the token's file, while it is being exchanged
                log.warning("can't join gateway %s: %s", address, error)
                failures += 1
            finally:
                self.joined.discard(address)
            await asyncio.sleep(min(BEAT_INTERVAL, 0.1 * 2**failures) * self._rng.uniform(0.5, 1))

    async def _stream(self, gateway: _Gateway) -> bool:
        """Beats until the gateway is gone; False if it refused this backend."""
        metadata = []
        if self._token_file is not None:
            # Read at every join, so that a rotated token needs no restart.
            metadata.append(("authorization", f"Bearer {self._token_file.read_text().strip()}"))
        async with self._channel(gateway) as channel:
            join = channel.stream_stream(
                METHOD,
                request_serializer=pb.Beat.SerializeToString,
                response_deserializer=pb.Directive.FromString,
            )
            call = join(self._beats(), metadata=metadata)
            async for directive in call:
                if directive.refused:
                    return self._was_refused(gateway, directive)
                if gateway.address not in self.joined:
                    self._was_let_in(gateway)
                if directive.drain:
                    self._on_drain()
        return True

    def _was_let_in(self, gateway: _Gateway) -> None:
        self.joined.add(gateway.address)
        gateway.let_in, gateway.refused = True, ""
        if self._since is None:
            self._since = asyncio.get_running_loop().time()
        self.known = True
        log.info("joined gateway %s", gateway.address)

    def _was_refused(self, gateway: _Gateway, directive: pb.Directive) -> bool:
        """Whether to join again at once."""
        if self._takes_next(gateway, directive.known_epoch):
            return True
        self.joined.discard(gateway.address)
        if directive.known_epoch and not self.joined:
            # Another process has the name: this one must not count as ready beside it.
            self.known = False
        if directive.refused != gateway.refused:  # it is tried again and again
            gateway.refused = directive.refused
            log.error("gateway %s refused this backend: %s", gateway.address, directive.refused)
        return False

    def _takes_next(self, gateway: _Gateway, known: int) -> bool:
        """Whether a gateway that knows a later epoch is to be joined again, with a later one still.

        Epochs are times of the wall clock, which may have been set back between two starts. A new
        process replaces its former self all the same. One that the gateway had let in before was
        replaced by another, and so may an old process have been that comes to a new gateway:
        neither takes the name back (fencing).
        """
        new = self._since is None or asyncio.get_running_loop().time() - self._since < NEW
        epoch = max(self._epoch, self._make_beat(False).epoch)
        if not new or gateway.let_in or not epoch <= known < MAX_EPOCH - 1:
            return False
        log.warning("gateway %s knows a later epoch: taking %d", gateway.address, known + 1)
        self._epoch = known + 1
        self.beat_now()  # the other streams end, as each is of one epoch
        return True

    async def _beats(self) -> AsyncIterator[pb.Beat]:
        sent, epoch = -1, self._epoch
        while epoch == self._epoch:
            beat = self._make_beat(False)
            if beat.models_revision != sent:
                beat = self._make_beat(True)
                sent = beat.models_revision
            beat.epoch = max(beat.epoch, epoch)
            yield beat
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_INTERVAL):
                    await self._now.wait()

    def _channel(self, gateway: _Gateway) -> aio.Channel:
        if self._credentials is not None:
            options = [*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", gateway.host)]
            credentials = self._credentials.current()
            return aio.secure_channel(gateway.address, credentials, options=options)
        return aio.insecure_channel(gateway.address, options=CHANNEL_OPTIONS)


def _host_port(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ipaddress.ip_address(host).version == 6 else f"{host}:{port}"
