"""The options that all kinds of backend have: where they are reached, and whom they join."""

from pathlib import Path
from typing import Annotated

import grpc
import typer

from backends.host import Place
from protos.tls import ClientTls, ServerTls, channel_credentials, server_credentials

Join = Annotated[
    str,
    typer.Option(help="Gateways to join: HOST:PORT, several with commas; names re-resolve."),
]
JoinTokenFile = Annotated[
    Path | None, typer.Option(help="A token with the scope backend:join, read at every join.")
]
Listen = Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")]
Advertise = Annotated[str, typer.Option(help="IP:PORT as gateways reach it; default: listen.")]
Name = Annotated[str, typer.Option(help="The instance's name; kept over restarts.")]
DrainTimeout = Annotated[float, typer.Option(help="Seconds to finish what is running.")]
TlsCertificate = Annotated[Path | None, typer.Option(help="PEM; the exchange's TLS.")]
TlsKey = Annotated[Path | None, typer.Option()]
TlsClientCa = Annotated[Path | None, typer.Option(help="Gateways must show its certs.")]
JoinCa = Annotated[Path | None, typer.Option(help="PEM; joins gateways over TLS.")]
JoinCertificate = Annotated[Path | None, typer.Option()]
JoinKey = Annotated[Path | None, typer.Option()]

LISTEN = "127.0.0.1:0"
DRAIN_TIMEOUT = 30.0


def place(
    *,
    join: str,
    join_token_file: Path | None,
    listen: str,
    advertise: str,
    name: str,
    drain_timeout: float,
    open_: bool = False,
    server: tuple[Path | None, Path | None, Path | None],
    client: tuple[Path | None, Path | None, Path | None],
) -> Place:
    """`server` and `client` are the files of either end's TLS: certificate, key, CA.

    Raises SystemExit with a sentence for files that don't go together.
    """
    return Place(
        join=tuple(part for part in join.split(",") if part),
        join_token_file=join_token_file,
        listen=listen,
        advertise=advertise,
        name=name,
        open=open_,
        drain_timeout=drain_timeout,
        server_credentials=_server(*server),
        join_credentials=_client(*client),
    )


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
    certificate: Path | None, key: Path | None, ca: Path | None
) -> grpc.ChannelCredentials | None:
    if ca is None:
        if certificate is not None or key is not None:
            raise SystemExit("penstock backend: --join-certificate takes --join-ca too")
        return None
    return channel_credentials(ClientTls(ca=ca, certificate=certificate, key=key))
