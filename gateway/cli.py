"""The command line: `penstock`."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from gateway import config as configuration
from gateway.client import GatewayClient
from gateway.config import FACES, Config, load_config
from gateway.credentials import TENANT, Credentials
from protos.errors import PenstockError, invalid
from protos.quantities import seconds
from protos.strict_yaml import ConfigError

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, and with them secrets
    help="One authenticated gate before every model that a company serves.",
)
models = typer.Typer(no_args_is_help=True, help="The models behind a running gateway.")
config = typer.Typer(no_args_is_help=True, help="The configuration file.")
app.add_typer(models, name="models")
app.add_typer(config, name="config")

File = Annotated[Path, typer.Option("--config", metavar="FILE", help="penstock.yaml")]
Offset = Annotated[
    int | None, typer.Option("--port-offset", metavar="N", min=0, help="Moves all ports.")
]
Json = Annotated[bool, typer.Option("--json", help="Prints JSON for programs.")]
DEFAULT_FILE = Path("penstock.yaml")
_LAST_PORT = 65535


def main() -> None:
    """The entry point: our own errors are one sentence on standard error and status 2."""
    try:
        app()
    except (PenstockError, ConfigError) as error:
        print(f"penstock: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@app.command()
def up(
    file: File = DEFAULT_FILE,
    port_offset: Offset = None,
    then: Annotated[
        str,
        typer.Option(
            metavar="COMMAND",
            help="Runs once all is ready, with PENSTOCK_URL and PENSTOCK_TOKEN set.",
        ),
    ] = "",
) -> None:
    """Runs a gateway and the configuration's backends on this machine until Ctrl-C."""
    from gateway import up as up_

    raise typer.Exit(up_.main(_load(file, port_offset), file, then))


@app.command("serve", hidden=True)
@app.command("gateway")
def gateway(file: File = DEFAULT_FILE, port_offset: Offset = None) -> None:
    """Runs a gateway."""
    from gateway import serve  # with all it brings, which the other commands don't wait for

    serve.main(_load(file, port_offset), file)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def backend(context: typer.Context) -> None:
    """Runs a backend: RUNTIME --model-repository DIR --join HOST:8003 … (--help lists all)."""
    # Replaces this process: the gateway's package never imports the backends'.
    os.execv(sys.executable, [sys.executable, "-m", "backends", *context.args])  # noqa: S606


@app.command()
def token(
    tenant: Annotated[str, typer.Option(help="Whose requests the token's bearer makes.")] = TENANT,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="infer:<model pattern>, backend:join or admin; may be repeated."),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Adds the scope admin.")] = False,
    subject: Annotated[str, typer.Option(help="Who bears it.")] = "developer",
    lifetime: Annotated[str, typer.Option(help="Such as 15m or 8h.")] = "1h",
    file: File = DEFAULT_FILE,
) -> None:
    """Prints a token signed by the configuration's development issuer."""
    try:
        duration = seconds(lifetime)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--lifetime") from None
    scopes = (*(scope or ()), *(("admin",) if admin else ()))
    credentials = Credentials(_load(file))
    print(credentials.token(tenant, scopes or ("infer:*",), duration, time.time(), subject))


@models.command("list")
def list_models(
    file: File = DEFAULT_FILE, port_offset: Offset = None, as_json: Json = False
) -> None:
    """Lists all model versions with their states."""
    rows = _ask(file, port_offset, lambda client: client.index())
    columns = ("name", "version", "state", "reason")
    _show(rows, [[row.get(column, "") for column in columns] for row in rows], columns, as_json)


@models.command()
def load(model: str, file: File = DEFAULT_FILE, port_offset: Offset = None) -> None:
    """Loads a model, or loads it anew, on the backends that have it."""
    _ask(file, port_offset, lambda client: client.load(model))
    print(f"{model} is loaded")


@models.command()
def unload(model: str, file: File = DEFAULT_FILE, port_offset: Offset = None) -> None:
    """Unloads a model; it stays so until it is loaded again or its files change."""
    _ask(file, port_offset, lambda client: client.unload(model))
    print(f"{model} is unloaded")


@app.command()
def endpoints(file: File = DEFAULT_FILE, port_offset: Offset = None, as_json: Json = False) -> None:
    """Lists the backends that have joined, and what each serves."""
    instances = _ask(file, port_offset, lambda client: client.instances())
    rows = [
        [
            each.name,
            each.raw["address"],
            each.raw["device"],
            each.raw["runtime"],
            each.state,
            ", ".join(f"{m.name}/{m.version} {m.state}" for m in each.models),
        ]
        for each in instances
    ]
    columns = ("instance", "address", "device", "runtime", "state", "models")
    _show([each.raw for each in instances], rows, columns, as_json)


@config.command()
def check(file: File = DEFAULT_FILE) -> None:
    """Reads the file and says what is wrong with it."""
    load_config(file)
    print(f"{file} is fine")


@config.command()
def schema() -> None:
    """Prints the JSON Schema of penstock.yaml, for editors."""
    print(json.dumps(configuration.schema(), indent=2))


def _load(file: Path, port_offset: int | None = None) -> Config:
    loaded = load_config(file)
    if port_offset is None:
        return loaded
    moved = loaded.model_copy(update={"port_offset": port_offset})
    if any(moved.listener(face).address.port > _LAST_PORT for face in FACES):
        raise invalid(f"--port-offset {port_offset}: moves a port beyond the last, {_LAST_PORT}")
    return moved


def _ask(
    file: Path, port_offset: int | None, question: Callable[[GatewayClient], Awaitable[T]]
) -> T:
    settings = _load(file, port_offset)
    credentials = Credentials(settings)

    async def ask() -> T:
        async with GatewayClient(settings, lambda: credentials.admin(time.time())) as client:
            return await question(client)

    # On a terminal only, and not into what programs read.
    with Console(stderr=True).status("asking the gateway"):
        return asyncio.run(ask())


def _show(value: Any, rows: list[list[str]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        print(json.dumps(value, indent=2))
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
