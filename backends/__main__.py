"""`python -m backends RUNTIME …`, which `penstock backend` runs."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import grpc
import typer
import uvloop

from backends.all_gpus import run_on_all, visible_gpus
from backends.process import Settings, serve
from protos.errors import PenstockError
from protos.quantities import size
from protos.tls import ClientTls, ServerTls, channel_credentials, server_credentials

# Read when a framework loads OpenMP: threads that spin while they wait take the cores from those
# that work, which made torch up to fifty times slower where cores are shared.
NO_SPINNING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


def main(
    runtime: Annotated[str, typer.Argument(help="torch, onnx, python, or a plug-in's name.")],
    model_repository: Annotated[Path, typer.Option(help="The folder of models.")],
    join: Annotated[
        str,
        typer.Option(help="Gateways to join: HOST:PORT, several with commas; names re-resolve."),
    ] = "",
    join_token_file: Annotated[
        Path | None, typer.Option(help="A token with the scope backend:join, read at every join.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda:N.")] = "cpu",
    all_gpus: Annotated[
        bool, typer.Option("--all-gpus", help="Runs a process for each GPU instead of --device.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: the cores we may use.")] = 0,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT; port 0 takes a free one.")
    ] = "127.0.0.1:0",
    advertise: Annotated[
        str, typer.Option(help="IP:PORT as gateways reach it; default: listen.")
    ] = "",
    name: Annotated[str, typer.Option(help="The instance's name; kept over restarts.")] = "",
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Lets models bring Python code that is run here.")
    ] = False,
    open_: Annotated[
        bool, typer.Option("--open", help="Serves direct OIP clients without the access key.")
    ] = False,
    memory_budget: Annotated[str, typer.Option(help="Such as 4GiB; default: the device's.")] = "",
    evict: Annotated[
        bool, typer.Option("--evict", help="Unloads idle models where another one needs the room.")
    ] = False,
    drain_timeout: Annotated[float, typer.Option(help="Seconds to finish what is running.")] = 30.0,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM; the exchange's TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option()] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="Gateways must show its certs.")
    ] = None,
    join_ca: Annotated[Path | None, typer.Option(help="PEM; joins gateways over TLS.")] = None,
    join_certificate: Annotated[Path | None, typer.Option()] = None,
    join_key: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Serves the models of one framework on one device to the gateways that it joins."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for variable, value in NO_SPINNING.items():
        os.environ.setdefault(variable, value)
    if all_gpus and (advertise or not listen.endswith(":0")):
        raise SystemExit(
            "penstock backend: --all-gpus gives each process a port of its own: leave out "
            "--advertise, and let --listen end in :0"
        )
    if all_gpus:
        raise SystemExit(_on_all_gpus(name or runtime))
    # Shorter than CPython's 5 ms: the device thread and the event loop share one interpreter.
    sys.setswitchinterval(0.0005)
    settings = Settings(
        runtime=runtime,
        repository=model_repository,
        join=tuple(part for part in join.split(",") if part),
        join_token_file=join_token_file,
        device=device,
        threads=threads or len(os.sched_getaffinity(0)),
        listen=listen,
        advertise=advertise,
        name=name,
        allow_code=allow_code,
        memory_budget=size(memory_budget) if memory_budget else 0,
        evict=evict,
        open=open_,
        drain_timeout=drain_timeout,
        server_credentials=_server(tls_certificate, tls_key, tls_client_ca),
        join_credentials=_client(join_ca, join_certificate, join_key),
    )
    try:
        uvloop.run(serve(settings))
    except (PenstockError, ValueError) as error:
        raise SystemExit(f"penstock backend: {error}") from None


def _on_all_gpus(name: str) -> int:
    gpus = visible_gpus()
    if not gpus:
        raise SystemExit("penstock backend: --all-gpus: no NVIDIA GPU is visible")
    arguments = [each for each in sys.argv[1:] if each != "--all-gpus"]
    return run_on_all(arguments, name, gpus)


def _server(
    certificate: Path | None, key: Path | None, client_ca: Path | None
) -> grpc.ServerCredentials | None:
    if certificate is None and key is None and client_ca is None:
        return None
    if certificate is None or key is None:
        raise SystemExit("penstock backend: --tls-certificate and --tls-key go together")
    files = {"certificate": certificate, "key": key, "client_ca": client_ca}
    return server_credentials(ServerTls.model_validate(files, by_name=True))


def _client(
    ca: Path | None, certificate: Path | None, key: Path | None
) -> grpc.ChannelCredentials | None:
    if ca is None:
        if certificate is not None or key is not None:
            raise SystemExit("penstock backend: --join-certificate takes --join-ca too")
        return None
    return channel_credentials(ClientTls(ca=ca, certificate=certificate, key=key))


if __name__ == "__main__":
    # Plain tracebacks: typer's own print local variables, and with them secrets.
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
