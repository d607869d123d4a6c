"""A gateway's life: starts what the configuration says, serves until a signal, drains.

With one worker everything runs in this process. With more, this one supervises: it owns discovery,
the admin face and the listening socket, and workers attach to it over a Unix socket.
"""

import asyncio
import logging
import os
import signal
import socket
import tempfile
import time
from pathlib import Path

import grpc
import uvloop
from grpc import aio

from gateway.admin import admin_app
from gateway.audit.log import AuditLog
from gateway.beats import MAX_BEAT_BYTES
from gateway.config import Config
from gateway.console.history import History
from gateway.console.reports import reporter
from gateway.console.samples import READ
from gateway.console.shown import Shown
from gateway.discovery import Discovery
from gateway.grace import RECORDS_CLOSE
from gateway.grpc_options import bind, certificate, server_options
from gateway.http.server import BACKLOG, serve
from gateway.http.server import bind as bind_http
from gateway.hub import CHANNEL_OPTIONS, REPORT_INTERVAL, Hub
from gateway.identities import authenticator as authenticator_of
from gateway.prerequisites import check_gateway, notes
from gateway.records import Records
from gateway.rules import Rules
from gateway.state.supervisor_ledger import LedgerService
from gateway.supervisor import Workers
from gateway.telemetry import certificates
from gateway.telemetry.log_format import configure
from gateway.telemetry.process import register_process, register_tasks
from gateway.telemetry.request_log import register_log
from gateway.worker import Worker
from protos import grpc_server
from protos.log_writer import LogWriter
from protos.tls_files import Followed
from routing.registry import Registry

log = logging.getLogger(__name__)


def main(config: Config, file: Path) -> None:
    """Runs a gateway of the configuration that was read from `file`, until SIGTERM or SIGINT.

    Raises ConfigError for files that it names and needs and that aren't there.
    """
    check_gateway(config, file)
    lines = configure(config.telemetry.logs.format)
    for note in notes(config):
        log.warning("%s", note)
    # A supervisor carries no requests, and uvloop can't start the workers' process groups.
    run = uvloop.run if config.workers == 1 else asyncio.run
    run(_main(config, file, lines))


async def _main(config: Config, file: Path, lines: LogWriter) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    records = Records(config.store_url)
    authenticator = authenticator_of(config, records.store)
    await authenticator.start()
    audit = AuditLog.of(config, "gateway")
    tidying = asyncio.create_task(audit.tidy(), name="audit")
    registry = Registry(config.discovery.lease, started=time.monotonic())
    discovery = Discovery(
        registry,
        authenticator,
        config.discovery.allowed_networks,
        time.monotonic,
        audit.stranger,
    )
    hub = Hub(registry, discovery)
    rules = Rules(config, hub, records, audit)
    await rules.start()
    hub.start()
    shown_to_backends = certificate("discovery", config.listener("discovery"))
    mesh = await _serve_discovery(hub, config, shown_to_backends)
    listener = config.listener("admin")
    history = History(lambda: [*hub.workers.told(READ), *hub.totals.families()], time.monotonic)
    history.start()
    shown = Shown(
        f"{socket.gethostname()}:{listener.address.port}",
        hub,
        rules,
        history,
        hub.recent,
        records.store,
        audit,
        reporter(file),
    )
    admin = serve(
        admin_app(
            hub,
            rules,
            records,
            authenticator,
            audit,
            shown,
            port=listener.address.port,
            secure=listener.tls is not None,
        ),
        listener.address,
        config.limits,
        listener.tls,
        "admin",
    )
    certificates.register(hub.supervisor, (shown_to_backends, admin.certificate))
    await admin.start()
    try:
        if config.workers == 1:
            await _serve_here(hub, config, lines, stop)
        else:
            await _serve_in_processes(hub, config, file, lines, stop)
    finally:
        tidying.cancel()
        await mesh.stop(grace=0.5)
        await hub.stop()
        await history.stop()
        await rules.stop()
        await admin.drain(1.0)
        await authenticator.close()
        await asyncio.to_thread(records.close, RECORDS_CLOSE)
        await asyncio.to_thread(audit.close, RECORDS_CLOSE)


async def _serve_here(hub: Hub, config: Config, lines: LogWriter, stop: asyncio.Event) -> None:
    worker = Worker(config, f"{socket.gethostname()}/0", f"0/{os.getpid()}", lines)

    async def report() -> None:
        while True:
            hub.report(await worker.report())
            await asyncio.sleep(REPORT_INTERVAL)

    hub.subscribe(worker.apply)
    await worker.start(share_grpc_port=False)
    reporting = asyncio.create_task(report(), name="metrics")
    log.info("serving on %s", config.listener("http").address)
    await stop.wait()
    log.info("draining")
    await worker.drain()
    reporting.cancel()
    hub.report(await worker.report())  # what was counted since


async def _serve_in_processes(
    hub: Hub, config: Config, file: Path, lines: LogWriter, stop: asyncio.Event
) -> None:
    # A Unix socket's path has to be short, whatever the state folder is called.
    with (
        tempfile.TemporaryDirectory(prefix="penstock-") as folder,
        bind_http(config.listener("http").address) as http,
    ):
        # Listening from the start: connections wait while all workers restart.
        http.listen(BACKLOG)
        address = f"unix:{folder}/supervisor"
        server = aio.server(options=CHANNEL_OPTIONS)
        server.add_generic_rpc_handlers((hub.attach_handler(), LedgerService().handler()))
        server.add_insecure_port(address)
        await server.start()
        register_process(hub.supervisor)
        register_tasks(hub.supervisor, asyncio.get_running_loop())
        register_log(hub.supervisor, lines)
        workers = Workers(config, file, http, address)
        workers.start()
        log.info("%d workers serve on %s", config.workers, config.listener("http").address)
        await stop.wait()
        log.info("draining")
        await workers.stop()
        await server.stop(grace=0.5)


async def _serve_discovery(
    hub: Hub, config: Config, shown: Followed[grpc.ServerCertificateConfiguration] | None
) -> aio.Server:
    server = grpc_server.server(options=server_options(MAX_BEAT_BYTES))
    hub.discovery.register(server)
    bind(server, config.listener("discovery"), shown)
    await server.start()
    return server
