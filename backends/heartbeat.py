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

MAX_EPOCH = 2**63

# Makes the next beat; told whether the model table must be in it.
MakeBeat = Callable[[bool], pb.Beat]


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
        self._joins: dict[str, asyncio.Task[None]] = {}
        self._hosts: dict[str, str] = {}  # address to the name that a certificate must bear
        self._resolved: dict[str, set[str]] = {}  # a name's addresses when it last resolved
        self._now = asyncio.Event()
        self._epoch = 0  # at least this one is beaten with
        self._let_in: dict[str, float] = {}  # when gateways, by address, first did
        self.joined: set[str] = set()
        self.known = not names  # whether some gateway has ever let this backend in

    async def run(self) -> None:
        """Keeps one join for each address that the names resolve to at the moment."""
        try:
            while True:
                addresses = await self._resolve()
                for address in self._joins.keys() - addresses:
                    self._joins.pop(address).cancel()
                for address in addresses - self._joins.keys():
                    self._joins[address] = asyncio.create_task(self._join(address))
                await asyncio.sleep(RESOLVE_INTERVAL if self.joined else BEAT_INTERVAL)
        finally:
            for task in self._joins.values():
                task.cancel()
            await asyncio.gather(*self._joins.values(), return_exceptions=True)
            self._joins.clear()

    def beat_now(self) -> None:
        """Tells every gateway at once; for changes that should not wait for the next second."""
        self._now.set()
        self._now = asyncio.Event()

    async def _resolve(self) -> set[str]:
        """All addresses; a name that can't be resolved for now keeps those that it had."""
        loop = asyncio.get_running_loop()
        for name in self._names:
            host, _, port = name.rpartition(":")
            try:
                infos = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            except OSError as error:
                log.warning("can't resolve the gateway's name %s: %s", host, error)
                continue
            self._resolved[name] = {_host_port(str(info[4][0]), port) for info in infos}
            self._hosts.update(dict.fromkeys(self._resolved[name], host))
        return set().union(*self._resolved.values())

    async def _join(self, address: str) -> None:
        failures = 0
        while True:
            try:
                welcome = await self._stream(address)
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

    async def _stream(self, address: str) -> bool:
        """Beats until the gateway is gone; False if it refused this backend."""
        metadata = []
        if self._token_file is not None:
            # Read at every join, so that a rotated token needs no restart.
            metadata.append(("authorization", f"Bearer {self._token_file.read_text().strip()}"))
        async with self._channel(address) as channel:
            join = channel.stream_stream(
                METHOD,
                request_serializer=pb.Beat.SerializeToString,
                response_deserializer=pb.Directive.FromString,
            )
            call = join(self._beats(), metadata=metadata)
            async for directive in call:
                if directive.refused:
                    if self._takes_next(address, directive.known_epoch):
                        return True
                    log.error("gateway %s refused this backend: %s", address, directive.refused)
                    return False
                if address not in self.joined:
                    self.joined.add(address)
                    self._let_in.setdefault(address, asyncio.get_running_loop().time())
                    self.known = True
                    log.info("joined gateway %s", address)
                if directive.drain:
                    self._on_drain()
        return True

    def _takes_next(self, address: str, known: int) -> bool:
        """Whether a gateway that knows a later epoch is to be joined again, with a later one still.

        Epochs are times of the wall clock, which may have been set back between two starts. A new
        process replaces its former self all the same. One that the gateway had let in before was
        replaced by another, and so may an old process have been that comes to a new gateway:
        neither takes the name back (fencing).
        """
        since = min(self._let_in.values(), default=None)
        new = since is None or asyncio.get_running_loop().time() - since < NEW
        epoch = max(self._epoch, self._make_beat(False).epoch)
        if not new or address in self._let_in or not epoch <= known < MAX_EPOCH:
            return False
        log.warning("gateway %s knows a later epoch: taking %d", address, known + 1)
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

    def _channel(self, address: str) -> aio.Channel:
        if self._credentials is not None:
            name = ("grpc.ssl_target_name_override", self._hosts[address])
            options = [*CHANNEL_OPTIONS, name]
            return aio.secure_channel(address, self._credentials.current(), options=options)
        return aio.insecure_channel(address, options=CHANNEL_OPTIONS)


def _host_port(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ipaddress.ip_address(host).version == 6 else f"{host}:{port}"
