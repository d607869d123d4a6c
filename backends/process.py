"""One backend process: one framework on one device, serving gateways and direct clients."""

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc import aio

from backends.exchange import ExchangeService
from backends.guard import Guard
from backends.heartbeat import Heartbeat
from backends.intake import Intake
from backends.models.lifecycle import Lifecycle
from backends.oip import OipService
from backends.presence import Presence
from protos.open_inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server

log = logging.getLogger(__name__)

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
class Settings:
    """What the command line says; `join` are host:port, `memory_budget` bytes (0: the device's)."""

    runtime: str
    repository: Path
    join: tuple[str, ...]
    join_token_file: Path | None
    device: str
    threads: int
    listen: str
    advertise: str
    name: str
    allow_code: bool
    memory_budget: int
    evict: bool
    open: bool
    drain_timeout: float
    server_credentials: grpc.ServerCredentials | None = None
    join_credentials: grpc.ChannelCredentials | None = None


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, then finishes what it has and leaves."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    access_key = secrets.token_urlsafe(32)
    intake = Intake(loop)
    intake.device.start()
    lifecycle = Lifecycle(
        settings.repository,
        settings.runtime,
        intake.device,
        device=settings.device,
        threads=settings.threads,
        allow_code=settings.allow_code,
        memory_budget=settings.memory_budget,
        evict=settings.evict,
    )
    intake.models = lifecycle
    exchange = ExchangeService(intake, access_key)
    oip = OipService(intake, lifecycle, None if settings.open else access_key)
    guard = Guard(access_key, open_=settings.open)
    server = aio.server(interceptors=(guard,), options=SERVER_OPTIONS)
    server.add_generic_rpc_handlers((exchange.handler(),))
    add_GRPCInferenceServiceServicer_to_server(oip, server)
    port = _bind(server, settings)
    await server.start()

    advertised = settings.advertise or f"{settings.listen.rpartition(':')[0]}:{port}"
    presence = Presence(
        instance=settings.name or f"{settings.runtime}-{secrets.token_hex(4)}",
        # Milliseconds since 1970 grow with every start, also across machines' reboots.
        epoch=time.time_ns() // 1_000_000,
        address=advertised,
        device=settings.device,
        runtime=settings.runtime,
        access_key=access_key,
        lifecycle=lifecycle,
        intake=intake,
    )
    heartbeat = Heartbeat(
        settings.join,
        presence.beat,
        token_file=settings.join_token_file,
        credentials=settings.join_credentials,
        on_drain=stop.set,
    )
    lifecycle.on_change = heartbeat.beat_now
    presence.on_change = heartbeat.beat_now
    log.info("%s serves %s on %s", presence.instance, settings.repository, advertised)

    tasks: list[asyncio.Task[None]] = [
        asyncio.create_task(lifecycle.run(), name="lifecycle"),
        asyncio.create_task(heartbeat.run(), name="heartbeat"),
        asyncio.create_task(presence.probe(), name="probe"),
    ]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
    failed = [task for task in tasks if task.done()]

    log.info("draining: %d in flight", intake.in_flight)
    presence.draining = True
    heartbeat.beat_now()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.drain_timeout):
            # The gateways need one beat to hear of it, and what they sent meanwhile is served.
            await asyncio.sleep(0.2)
            while intake.in_flight:  # noqa: ASYNC110 (once in a process's life)
                await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.stop(grace=1.0)
    await lifecycle.close()
    intake.device.stop(drain=False, timeout=5.0)
    for task in failed:
        task.result()  # a background task must never end: let its error end the process


def _bind(server: aio.Server, settings: Settings) -> int:
    try:
        if settings.server_credentials is not None:
            return server.add_secure_port(settings.listen, settings.server_credentials)
        return server.add_insecure_port(settings.listen)
    except RuntimeError as error:
        raise SystemExit(f"can't listen on {settings.listen}: {error}") from error
