"""The command line: `penstock`."""

import json
import os
import sys
import time
from typing import Annotated

import typer

from gateway import config as configuration
from gateway import key_commands
from gateway.audit import commands as audit_commands
from gateway.command import DEFAULT_FILE, File, Json, Offset, ask, load_settings, show
from gateway.config import load_config, with_log_format
from gateway.console.link import console_link
from gateway.credentials import TENANT, Credentials
from gateway.redact_command import redact
from gateway.reports import commands as shadow_commands
from gateway.rollout import commands as rollout_commands
from gateway.routes import commands as route_commands
from gateway.routes.plan import plan
from gateway.telemetry.settings import LogFormat
from gateway.tour.command import tour
from gateway.usage.command import usage
from protos.errors import PenstockError
from protos.quantities import seconds
from protos.strict_yaml import ConfigError

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
app.command()(redact)
app.command()(usage)
route_commands.app.command()(plan)
app.add_typer(route_commands.app, name="routes")
app.add_typer(key_commands.app, name="keys")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(rollout_commands.app, name="rollout")
app.add_typer(shadow_commands.app, name="shadow")


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
            help="Runs once all is ready, with PENSTOCK_URL and PENSTOCK_TOKEN_FILE set.",
        ),
    ] = "",
) -> None:
    """Runs a gateway and the configuration's backends on this machine until Ctrl-C."""
    from gateway import up as up_

    raise typer.Exit(up_.main(load_settings(file, port_offset), file, then))


@app.command("serve", hidden=True)
@app.command("gateway")
def gateway(
    file: File = DEFAULT_FILE,
    port_offset: Offset = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(help="How the log is written; otherwise as the configuration says."),
    ] = None,
) -> None:
    """Runs a gateway."""
    from gateway import serve  # with all it brings, which the other commands don't wait for

    serve.main(with_log_format(load_settings(file, port_offset), log_format), file)


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
        typer.Option(
            help="infer:<pattern>, metrics, admin or backend:join[:<pattern>]; repeatable."
        ),
    ] = None,
    admin: Annotated[
        bool,
        typer.Option("--admin", help="Adds the scope admin, and a link to the console."),
    ] = False,
    subject: Annotated[str, typer.Option(help="Who bears it.")] = "developer",
    lifetime: Annotated[str, typer.Option(help="Such as 15m or 8h.")] = "1h",
    file: File = DEFAULT_FILE,
    port_offset: Offset = None,
) -> None:
    """Prints a token signed by the configuration's development issuer.

    With --admin it prints a link to a running gateway's console, too, on standard error.
    """
    try:
        duration = seconds(lifetime)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--lifetime") from None
    scopes = (*(scope or ()), *(("admin",) if admin else ()))
    settings = load_settings(file, port_offset)
    credentials = Credentials(settings)
    made = credentials.token(tenant, scopes or ("infer:*",), duration, time.time(), subject)
    print(made)
    if "admin" in scopes:
        print(console_link(settings, made), file=sys.stderr)


@models.command("list")
def list_models(
    file: File = DEFAULT_FILE, port_offset: Offset = None, as_json: Json = False
) -> None:
    """Lists all model versions with their states."""
    rows = ask(file, port_offset, lambda client: client.index())
    columns = ("name", "version", "state", "reason")
    show(rows, [[row.get(column, "") for column in columns] for row in rows], columns, as_json)


@models.command()
def load(model: str, file: File = DEFAULT_FILE, port_offset: Offset = None) -> None:
    """Loads a model, or loads it anew, on the backends that have it."""
    ask(file, port_offset, lambda client: client.load(model))
    print(f"{model} is loaded")


@models.command()
def unload(model: str, file: File = DEFAULT_FILE, port_offset: Offset = None) -> None:
    """Unloads a model; it stays so until it is loaded again or its files change."""
    ask(file, port_offset, lambda client: client.unload(model))
    print(f"{model} is unloaded")


app.command()(tour)


@app.command()
def endpoints(file: File = DEFAULT_FILE, port_offset: Offset = None, as_json: Json = False) -> None:
    """Lists the backends that have joined, and what each serves."""
    instances = ask(file, port_offset, lambda client: client.instances())
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
    show([each.raw for each in instances], rows, columns, as_json)


@config.command()
def check(file: File = DEFAULT_FILE) -> None:
    """Reads the file and says what is wrong with it, and which files that it names are missing."""
    from gateway import prerequisites  # with what reads keys, which the other commands don't need

    loaded = load_config(file)
    prerequisites.check_all(loaded, file)
    for note in prerequisites.notes(loaded):
        print(f"note: {note}")
    print(f"{file} is fine")


@config.command()
def schema() -> None:
    """Prints the JSON Schema of penstock.yaml, for editors."""
    print(json.dumps(configuration.schema(), indent=2))
