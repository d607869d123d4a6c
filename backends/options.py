"""The options that all kinds of backend have: where they are reached, and whom they join."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from pydantic import ValidationError

from backends.host import Place
from protos.otlp import Collector
from protos.tls import ClientTls, ServerTls
from protos.tls_files import (
    Followed,
    followed_channel,
    followed_configuration,
    renewed_credentials,
)


def place(
    *,
    join: Annotated[
        str,
        typer.Option(help="Gateways to join: HOST:PORT, several with commas; names re-resolve."),
    ] = "",
    join_token_file: Annotated[
        Path | None, typer.Option(help="A token with the scope backend:join, read at every join.")
    ] = None,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT; port 0 takes a free one.")
    ] = "127.0.0.1:0",
    advertise: Annotated[
        str, typer.Option(help="IP:PORT as gateways reach it; default: listen.")
    ] = "",
    name: Annotated[str, typer.Option(help="The instance's name; kept over restarts.")] = "",
    drain_timeout: Annotated[float, typer.Option(help="Seconds to finish what is running.")] = 30.0,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM; the exchange's TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option()] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="Gateways must show its certs.")
    ] = None,
    join_ca: Annotated[Path | None, typer.Option(help="PEM; joins gateways over TLS.")] = None,
    join_certificate: Annotated[Path | None, typer.Option()] = None,
    join_key: Annotated[Path | None, typer.Option()] = None,
    otlp_endpoint: Annotated[
        str, typer.Option(help="http://HOST:PORT of a collector (OTLP, gRPC); none: no traces.")
    ] = "",
    otlp_ca: Annotated[Path | None, typer.Option(help="PEM; of an https:// collector.")] = None,
    otlp_certificate: Annotated[Path | None, typer.Option()] = None,
    otlp_key: Annotated[Path | None, typer.Option()] = None,
    otlp_headers_file: Annotated[
        Path | None, typer.Option(help="Lines `name: value` for the collector.")
    ] = None,
) -> Place:
    """Raises SystemExit with a sentence for files that don't go together."""
    return Place(
        join=tuple(part for part in join.split(",") if part),
        join_token_file=join_token_file,
        listen=listen,
        advertise=advertise,
        name=name,
        open=False,
        drain_timeout=drain_timeout,
        server_credentials=_server(tls_certificate, tls_key, tls_client_ca),
        join_credentials=_client(join_certificate, join_key, join_ca),
        collector=_collector(otlp_endpoint, otlp_ca, otlp_certificate, otlp_key, otlp_headers_file),
    )


def placed(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of `place` instead of its argument `where`, which they make."""
    options = signature(place).parameters
    own = [each for each in signature(command).parameters.values() if each.name != "where"]

    @wraps(command)
    def with_options(**given: Any) -> None:
        where = place(**{each: given.pop(each) for each in options})
        command(where=where, **given)

    # What typer reads.
    parameters = [*own, *options.values()]
    with_options.__signature__ = signature(command).replace(  # type: ignore[attr-defined]
        parameters=[each.replace(kind=each.KEYWORD_ONLY) for each in parameters]
    )
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


def _server(
    certificate: Path | None, key: Path | None, client_ca: Path | None
) -> grpc.ServerCredentials | None:
    if certificate is None and key is None and client_ca is None:
        return None
    if certificate is None or key is None:
        raise SystemExit("penstock backend: --tls-certificate and --tls-key go together")
    files = {"certificate": certificate, "key": key, "client_ca": client_ca}
    tls = ServerTls.model_validate(files, by_name=True)
    followed = followed_configuration("--tls-certificate", tls)
    return renewed_credentials(followed, mutual=client_ca is not None)


def _client(
    certificate: Path | None, key: Path | None, ca: Path | None
) -> Followed[grpc.ChannelCredentials] | None:
    if ca is None:
        if certificate is not None or key is not None:
            raise SystemExit("penstock backend: --join-certificate takes --join-ca too")
        return None
    return followed_channel("--join-ca", ClientTls(ca=ca, certificate=certificate, key=key))


def _collector(
    endpoint: str,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    headers_file: Path | None,
) -> Collector | None:
    if not endpoint:
        if any((ca, certificate, key, headers_file)):
            raise SystemExit("penstock backend: --otlp-* go with --otlp-endpoint")
        return None
    if ca is None and (certificate, key) != (None, None):
        raise SystemExit("penstock backend: --otlp-certificate and --otlp-key take --otlp-ca too")
    try:
        tls = None if ca is None else ClientTls(ca=ca, certificate=certificate, key=key)
        return Collector.model_validate(
            {"endpoint": endpoint, "tls": tls, "headers_file": headers_file}, by_name=True
        )
    except ValidationError as error:
        why = "; ".join(str(each["msg"]) for each in error.errors())
        raise SystemExit(f"penstock backend: --otlp-…: {why}") from None
