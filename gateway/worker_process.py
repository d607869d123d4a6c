"""A worker in a process of its own: `python -m gateway.worker_process`, run by the supervisor."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from gateway.config import Config, load_config, with_log_format
from gateway.hub import attach
from gateway.telemetry.log_format import configure
from gateway.telemetry.settings import LogFormat
from gateway.worker import Worker
from protos.log_writer import LogWriter

LAST_REPORT = 1.0  # seconds


def main(
    file: Path,
    port_offset: Annotated[int, typer.Option()],
    index: Annotated[int, typer.Option()],
    http: Annotated[int, typer.Option(help="The descriptor of the listening socket.")],
    supervisor: Annotated[str, typer.Option(help="The supervisor's gRPC address.")],
    log_format: Annotated[LogFormat, typer.Option()],
) -> None:
    """Serves until SIGTERM; its supervisor's end is its own."""
    config = with_log_format(load_config(file), log_format)
    config = config.model_copy(update={"port_offset": port_offset})
    log = configure(log_format)
    uvloop.run(_serve(config, index, http, supervisor, log))


async def _serve(config: Config, index: int, http: int, supervisor: str, log: LogWriter) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    name, process = f"{socket.gethostname()}/{index}", f"{index}/{os.getpid()}"
    worker = Worker(config, name, process, log, supervisor)
    over = asyncio.Event()
    attached = asyncio.create_task(
        attach(supervisor, worker.apply, worker.report, over, worker.urgent), name="attach"
    )
    await worker.start(socket.socket(fileno=http), share_grpc_port=True)
    await stop.wait()
    await worker.drain()
    over.set()
    worker.urgent.set()  # with a last report, of what was counted since
    await asyncio.wait((attached,), timeout=LAST_REPORT)


if __name__ == "__main__":
    # Plain tracebacks: typer's own print local variables, and with them secrets.
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
