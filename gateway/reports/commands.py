"""`penstock shadow`: what mirrored requests say about a candidate."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.command import DEFAULT_FILE, File
from gateway.config import load_config
from protos.quantities import seconds

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Shadow traffic: what candidates answered to copies of requests.",
)


class Format(StrEnum):
    """`text` is for people at a terminal, `html` for everybody else, `json` for programs."""

    text = "text"
    json = "json"
    html = "html"


@app.callback()
def shadow() -> None:
    """Shadow traffic: what candidates answered to copies of requests."""
    # A callback makes it a group, also while it has one command.


@app.command()
def report(
    route: Annotated[str, typer.Option(help="The route whose mirrors are reported on.")],
    mirror: Annotated[
        str | None, typer.Option(help="One mirror, by its `backend` name; otherwise all.")
    ] = None,
    since: Annotated[str, typer.Option(metavar="DURATION", help="Such as 30m, 24h or 7d.")] = "24h",
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.text,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Writes to the file instead.")
    ] = None,
    file: File = DEFAULT_FILE,
) -> None:
    """Says whether a mirrored candidate may be promoted, and on what evidence.

    The status is 0 whatever the verdict is, and 1 when there are no records to report on.
    """
    from gateway.reports import make  # with all it brings, which the other commands don't wait for

    try:
        period = seconds(since)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    if not period:
        raise typer.BadParameter("must be more than zero", param_hint="--since")
    config = load_config(file)
    console = Console(stderr=True, highlight=False)
    criteria = make.bounds(config, route, console)
    reports, others = make.read(config, route, mirror, time.time(), period, criteria, console)
    if not reports:
        console.print(make.nothing(route, mirror, since, others), markup=False)
        raise typer.Exit(1)
    make.write(reports, form.value, output)
