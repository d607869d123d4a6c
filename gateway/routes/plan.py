"""`penstock routes plan`: what other routes would change, by the records of real requests."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.command import DEFAULT_FILE, File, Json, load_settings
from protos.quantities import seconds


def plan(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The routes as they would be.")],
    since: Annotated[str, typer.Option(metavar="DURATION", help="Such as 30m, 24h or 7d.")] = "24h",
    file: File = DEFAULT_FILE,
    as_json: Json = False,
) -> None:
    """Says what the routes in DIR would change of what the routes in force do.

    Replays recorded requests through both: users moved between arms, load by
    arm and model version, limits that fire, requests that take another route.
    Ends with status 1 when nothing was recorded.
    """
    from gateway.routes.plan_answer import answer  # with all it brings
    from gateway.routes.plan_drawing import drawn

    try:
        period = seconds(since)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    if not period:
        raise typer.BadParameter("must be more than zero", param_hint="--since")
    console = Console(stderr=True, highlight=False)
    with console.status("reading records") as status:

        def tell(records: int) -> None:
            status.update(f"{records:,} records read")

        found = answer(load_settings(file), folder, time.time() - period, tell)
    if found is None:
        console.print(f"No decisions were recorded in the last {since}; see docs/backtest.md.")
        raise typer.Exit(1)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(drawn(found), crop=False)
