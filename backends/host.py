"""A backend process, whatever works in it: its port, how it makes itself known, how it ends."""

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2_grpc

from backends.exchange import ExchangeService, Worker
from backends.gpus import Gpus
from backends.guard import Guard
from backends.health import Health
from backends.heartbeat import Heartbeat
from backends.tracing import Tracing
from protos import discovery_pb2 as pb
from protos import grpc_server
from protos.errors import PenstockError
from protos.open_inference_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)
from protos.otlp import Collector, OtlpExporter, resource_of
from protos.span_queue import SpanQueue
from protos.tls_files import Followed

log = logging.getLogger(__name__)

SPANS_CLOSE = 2.0  # seconds for the spans that wait to be sent
MESSAGE_BYTES = 512 * 1024 * 1024
SERVER_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Gateways ping every ten seconds; gRPC's default of five minutes would cut them off.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the process listens and whom it joins; `join` are host:port."""

    join: tuple[str, ...]
    join_token_file: Path | None
    listen: str
    advertise: str
    name: str
    open: bool
    drain_timeout: float
    server_credentials: grpc.ServerCredentials | None = None
    join_credentials: Followed[grpc.ChannelCredentials] | None = None
    collector: Collector | None = None
    kind: str = ""  # the runtime

    def named(self, kind: str) -> "Place":
        """With a name of its own, if the operator gave none."""
        return replace(self, kind=kind, name=self.name or f"{kind}-{secrets.token_hex(4)}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is to gateways; only callers who show `access_key` are served."""

    instance: str
    epoch: int  # milliseconds since 1970; `Heartbeat` takes a later one where clocks were set back
    address: str
    access_key: str
    tracing: Tracing | None = None  # where a collector is named
    gpus: Gpus = field(default_factory=Gpus)


class Presence(Protocol):
    """What the process says of itself."""

    draining: bool

    def beat(self, with_models: bool) -> pb.Beat:
        """The next beat; the model table only when it is asked for, since it is large."""
        ...


class Work(Protocol):
    """What the process is there for."""

    @property
    def worker(self) -> Worker: ...

    @property
    def presence(self) -> Presence: ...

    @property
    def in_flight(self) -> int: ...

    def unary(self, access_key: str | None) -> GRPCInferenceServiceServicer:
        """The Open Inference Protocol, for callers who show the key; None: for everybody."""
        ...

    def tasks(self, changed: Callable[[], None]) -> list[Coroutine[Any, Any, None]]:
        """What runs until it is cancelled; `changed` makes the process beat at once."""
        ...

    async def close(self) -> None:
        """Everything in flight is over, or may be cut."""
        ...


async def host(place: Place, make_work: Callable[[Identity], Work]) -> None:
    """Runs until SIGTERM or SIGINT, then finishes what it has and leaves."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    access_key = secrets.token_urlsafe(32)
    server = grpc_server.server(
        interceptors=(Guard(access_key, open_=place.open),), options=SERVER_OPTIONS
    )
    port = _bind(server, place)
    address = place.advertise or f"{place.listen.rpartition(':')[0]}:{port}"
    exporter, queue, tracing = _tracing(place)
    identity = Identity(place.name, time.time_ns() // 1_000_000, address, access_key, tracing)
    work = make_work(identity)
    if tracing is not None:
        tracing.device = work.presence.beat(False).device
    ExchangeService(work.worker, access_key, tracing).register(server)
    unary = work.unary(None if place.open else access_key)
    add_GRPCInferenceServiceServicer_to_server(unary, server)
    heartbeat = Heartbeat(
        place.join,
        work.presence.beat,
        token_file=place.join_token_file,
        credentials=place.join_credentials,
        on_drain=stop.set,
    )
    health = Health(work.presence.beat, lambda: heartbeat.known)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await server.start()
    log.info("%s serves on %s", identity.instance, address)

    tasks: list[asyncio.Task[None]] = [
        asyncio.create_task(each) for each in (*work.tasks(heartbeat.beat_now), heartbeat.run())
    ]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
    failed = [task for task in tasks if task.done()]

    log.info("draining: %d in flight", work.in_flight)
    work.presence.draining = True
    heartbeat.beat_now()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(place.drain_timeout):
            # The gateways need one beat to hear of it, and what they sent meanwhile is served.
            await asyncio.sleep(0.2)
            while work.in_flight:  # noqa: ASYNC110 (once in a process's life)
                await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.stop(grace=1.0)
    await work.close()
    if queue is not None and exporter is not None:
        await asyncio.to_thread(queue.close, SPANS_CLOSE)
        exporter.close()
    for task in failed:
        task.result()  # a background task must never end: let its error end the process


def _tracing(place: Place) -> tuple[OtlpExporter | None, SpanQueue | None, Tracing | None]:
    if place.collector is None:
        return None, None, None
    try:
        resource = resource_of(f"penstock-backend-{place.kind}", place.name)
        exporter = OtlpExporter(place.collector, resource)
    except PenstockError as error:
        raise SystemExit(f"penstock backend: {error.message}") from None
    queue = SpanQueue(exporter)
    return exporter, queue, Tracing(queue)


def _bind(server: aio.Server, place: Place) -> int:
    try:
        if place.server_credentials is not None:
            return server.add_secure_port(place.listen, place.server_credentials)
        return server.add_insecure_port(place.listen)
    except RuntimeError as error:
        raise SystemExit(f"can't listen on {place.listen}: {error}") from error
